"""A server that is slow, busy, cut off or away, and one that does not take every form of question."""

import threading
import time
from typing import Any

import pytest
from PIL import Image

from tests.worker.agents.vlm.scripted import Act, Asked, Server, everything
from tests.worker.agents.vlm.test_steps import CRITERIA
from worker.agents.agent import Account, NoMemory
from worker.agents.vlm import VlmAgent, endpoint
from worker.agents.vlm.endpoint import PATIENCE, TRIES, Endpoint, NotAnswered, Where
from worker.ledger import JobFailed

PICTURE = Image.new("RGB", (64, 64))


def look(agent: VlmAgent, account: Account | None = None) -> int:
    return len(agent.under(CRITERIA).label(PICTURE, account or Account(), NoMemory()))


def at_first(times: int, act: Act) -> Any:
    return lambda asked: act if asked.number <= times else everything(asked)


@pytest.mark.parametrize(
    "act",
    [
        Act(status=429),
        Act(status=429, headers={"Retry-After": "0"}),
        Act(status=429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
        Act(status=500),
        Act(status=503, headers={"Retry-After": "-5"}),
        Act(is_cut=True),
        Act(raw=b"<html>busy</html>"),
        Act(raw=b'{"choices": []}'),
        Act(raw=b"[1]"),
        Act(
            raw=b'{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "many"}}'
        ),
    ],
)
def test_what_passes_is_asked_again(agent: VlmAgent, server: Server, act: Act) -> None:
    server.answer = at_first(TRIES - 1, act)
    account = Account()
    assert look(agent, account) > 0
    assert account.attempts == TRIES
    assert (account.tokens_in, account.tokens_out) == (server.tokens_in, server.tokens_out)


def test_a_slow_answer_is_given_up_and_asked_for_again(server: Server) -> None:
    server.answer = at_first(1, Act(seconds=2.0, text="{}"))
    agent = VlmAgent(Endpoint(Where(server.url, "eye", seconds=0.5)), at_once=1)
    began = time.monotonic()
    assert look(agent) > 0
    assert time.monotonic() - began < 10
    agent.close()


def test_who_asks_after_the_end_is_told(server: Server) -> None:
    agent = VlmAgent(Endpoint(Where(server.url, "eye")), at_once=1)
    agent.close()
    with pytest.raises(JobFailed, match="The agent was stopped"):
        look(agent)
    assert server.asked == []


def test_a_question_that_fails_again_and_again_costs_its_image(
    agent: VlmAgent, server: Server
) -> None:
    server.answer = lambda _: Act(status=500)
    for number in range(1, 5):
        with pytest.raises(NotAnswered, match="did not answer, 5 times: it says 500"):
            look(agent)
        assert len(server.asked) == number * TRIES


@pytest.mark.parametrize("models_status", [500, 503, 429])
def test_a_server_that_is_away_ends_the_run_and_blames_no_image(
    agent: VlmAgent, server: Server, models_status: int
) -> None:
    server.answer, server.models_status = lambda _: Act(is_cut=True), models_status
    with pytest.raises(JobFailed) as caught:
        look(agent)
    assert (caught.value.kind, caught.value.again) == ("infrastructure", True)
    assert len(server.asked) == TRIES


def test_too_many_requests_are_waited_for_and_blame_no_image(
    agent: VlmAgent, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "LONGEST_PAUSE_SECONDS", 0.02)
    server.answer = at_first(PATIENCE - 1, Act(status=429))
    assert look(agent) > 0
    server.answer = lambda _: Act(status=429)
    with pytest.raises(JobFailed, match="too busy: it says 429") as caught:
        look(agent)
    assert (caught.value.kind, caught.value.again) == ("infrastructure", True)


def test_an_answer_without_end_is_not_read_to_its_end(agent: VlmAgent, server: Server) -> None:
    server.answer = lambda _: Act(raw=b'{"choices": "' + b"x" * 10_000_000)
    with pytest.raises(NotAnswered, match="longer than"):
        look(agent)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_only_the_operator_can_mend_ends_the_run_in_words(
    agent: VlmAgent, server: Server, status: int
) -> None:
    server.answer = lambda _: Act(status=status)
    with pytest.raises(JobFailed, match="MORELLI_VISION_KEY") as caught:
        look(agent)
    assert (caught.value.kind, len(server.asked)) == ("user_config", 1)
    assert "secret" not in caught.value.message and server.url not in caught.value.message


@pytest.mark.parametrize(
    ("takes", "forms"),
    [
        ({"json_object", None}, ["json_schema", "json_object"]),
        ({None}, ["json_schema", "json_object", None]),
    ],
)
def test_a_server_is_asked_once_how_it_takes_questions(
    agent: VlmAgent, server: Server, takes: set[str | None], forms: list[str | None]
) -> None:
    def form(asked: Asked) -> str | None:
        kind: str | None = asked.body.get("response_format", {}).get("type")
        return kind

    def answer(asked: Asked) -> Any:
        if form(asked) not in takes:
            return Act(status=400)
        return {"style": "other", "content": [], "dimensions": []}

    server.answer = answer
    look(agent)
    look(agent)
    assert [form(each) for each in server.asked] == [*forms, forms[-1]]


def test_a_question_that_is_refused_after_others_were_answered_costs_its_image(
    agent: VlmAgent, server: Server
) -> None:
    server.answer = lambda asked: Act(status=400) if asked.step == "quantify" else everything(asked)
    with pytest.raises(NotAnswered, match="refuses this question"):
        look(agent)
    assert server.asked[-1].body["response_format"]["type"] == "json_schema"


def test_closing_ends_what_is_under_way_at_once(server: Server) -> None:
    server.answer = lambda _: Act(seconds=5.0, text="{}")
    agent = VlmAgent(Endpoint(Where(server.url, "eye", seconds=60)), at_once=1)
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            look(agent)
        except JobFailed as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not server.asked:
        time.sleep(0.01)
    began = time.monotonic()
    agent.close()
    thread.join(timeout=4)
    assert ended and time.monotonic() - began < 3
