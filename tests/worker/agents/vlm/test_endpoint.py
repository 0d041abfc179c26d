"""A server that is slow, busy, cut off or away, and one that does not take every form of question."""

import json
import threading
import time
from typing import Any

import pytest
from PIL import Image

from tests.worker.agents.vlm.scripted import LOOPBACK, Act, Asked, Server, everything, state
from tests.worker.agents.vlm.test_steps import CRITERIA
from worker.agents.agent import Account, NoMemory
from worker.agents.vlm import VlmAgent, breaker, endpoint
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
    agent = VlmAgent(Endpoint(Where(server.url, "eye", private=LOOPBACK, seconds=0.5)), at_once=1)
    began = time.monotonic()
    assert look(agent) > 0
    assert time.monotonic() - began < 10
    agent.close()


def test_who_asks_after_the_end_is_told(server: Server) -> None:
    agent = VlmAgent(Endpoint(Where(server.url, "eye", private=LOOPBACK)), at_once=1)
    agent.close()
    with pytest.raises(JobFailed, match="The agent was stopped"):
        look(agent)
    assert server.asked == []


def test_a_question_that_fails_again_and_again_costs_its_image(
    agent: VlmAgent, server: Server
) -> None:
    server.answer = lambda _: Act(status=500)
    for number in range(1, 5):
        account = Account()
        with pytest.raises(NotAnswered, match="did not answer, 5 times: it says 500"):
            look(agent, account)
        assert account.requests == TRIES
        assert len(server.asked) == number * TRIES


@pytest.mark.parametrize("models_status", [500, 503, 429])
def test_a_server_that_is_away_is_waited_for_then_ends_the_run_and_blames_no_image(
    agent: VlmAgent, server: Server, monkeypatch: pytest.MonkeyPatch, models_status: int
) -> None:
    monkeypatch.setattr(breaker, "TRIALS", 3)
    server.answer, server.models_status = lambda _: Act(is_cut=True), models_status
    with pytest.raises(JobFailed, match="answers nobody") as caught:
        look(agent)
    assert (caught.value.kind, caught.value.again) == ("infrastructure", True)
    assert len(server.asked) == TRIES + 3


def test_who_waits_for_a_server_that_was_away_goes_on_when_it_is_back(
    agent: VlmAgent, server: Server
) -> None:
    server.models_status = 503
    server.answer = at_first(TRIES + 4, Act(status=503))
    account = Account()
    assert look(agent, account) > 0
    assert account.requests == len(server.asked)


def test_a_server_that_fails_all_is_asked_by_one_at_a_time_and_costs_few_images(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its list of models answers: a proxy may stand before it."""
    monkeypatch.setattr(endpoint, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(breaker, "FIRST_REST_SECONDS", 0.3)
    monkeypatch.setattr(breaker, "LONGEST_REST_SECONDS", 0.3)
    monkeypatch.setattr(breaker, "TRIALS", 3)
    where = Where(server.url, "eye", private=LOOPBACK)
    agent = VlmAgent(Endpoint(where, at_once=4), at_once=4)
    server.answer = lambda _: Act(status=500)
    blamed: list[BaseException] = []
    ended: list[BaseException] = []

    def label() -> None:
        while not ended:
            try:
                look(agent)
            except NotAnswered as error:
                blamed.append(error)
            except JobFailed as error:
                ended.append(error)

    threads = [threading.Thread(target=label) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=20)
    agent.close()
    assert len(ended) == 4
    # Four in flight may all be to blame themselves; a fifth shows that it is the server.
    assert len(blamed) <= 5
    assert 25 <= len(server.asked) <= 25 + 3 + 3


def test_neighbours_that_fail_do_not_stop_the_others(agent: VlmAgent, server: Server) -> None:
    server.answer = lambda asked: (
        Act(status=500) if asked.number <= 4 * TRIES else everything(asked)
    )
    for _ in range(4):
        with pytest.raises(NotAnswered):
            look(agent)
    assert look(agent) > 0


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
    server.answer = at_first(1, endless := Act(raw=b'{"choices": "' + b"x" * 10_000_000))
    assert look(agent) > 0
    server.answer = lambda _: endless
    with pytest.raises(NotAnswered, match="longer than 1024 KiB"):
        look(agent)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_only_the_operator_can_mend_ends_the_run_in_words(
    agent: VlmAgent, server: Server, status: int
) -> None:
    server.answer = lambda _: Act(status=status)
    with pytest.raises(JobFailed, match="MORELLI_VISION_KEY") as caught:
        look(agent)
    assert (caught.value.kind, len(server.asked)) == ("user_config", 1)
    assert (
        "secret" not in repr(agent)
        and "secret" not in caught.value.message
        and server.url not in caught.value.message
    )


@pytest.mark.parametrize(
    ("takes", "forms"),
    [
        ({"tools", "json_object", None}, ["json_schema", "tools"]),
        ({"json_object", None}, ["json_schema", "tools", "json_object"]),
        ({None}, ["json_schema", "tools", "json_object", None]),
    ],
)
def test_a_server_is_asked_once_how_it_takes_questions(
    agent: VlmAgent, server: Server, takes: set[str | None], forms: list[str | None]
) -> None:
    def form(asked: Asked) -> str | None:
        kind: str | None = asked.body.get("response_format", {}).get("type")
        return "tools" if "tools" in asked.body else kind

    def answer(asked: Asked) -> Any:
        if form(asked) not in takes:
            return Act(status=400)
        return {"style": "other", "content": [], "dimensions": []}

    server.answer = answer
    account = Account()
    look(agent, account)
    look(agent)
    assert [form(each) for each in server.asked] == [*forms, forms[-1]]
    assert account.requests == len(forms)
    # Whoever cannot be made to keep to a schema is told the form in words.
    assert '"dimensions": [{"key": "key", "why": "sentence"}]' in server.asked[-1].text


def called(asked: Asked) -> Act:
    """An answer that calls the tool it was given."""
    (tool,) = asked.body["tools"]
    said = json.dumps(everything_of(tool["function"]["parameters"]))
    call = {"type": "function", "function": {"name": tool["function"]["name"], "arguments": said}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    return Act(raw=json.dumps({"choices": [{"message": message}], "usage": usage}).encode())


def everything_of(schema: dict[str, Any]) -> Any:
    properties = schema["properties"]
    if "attributes" in properties:
        keys = properties["attributes"]["items"]["properties"]["key"]["enum"]
        return {"attributes": [state(each) for each in keys]}
    keys = properties["dimensions"]["items"]["properties"]["key"]["enum"]
    chosen = [{"key": each, "why": "."} for each in keys]
    return {"style": "other", "content": [], "dimensions": chosen}


def test_a_server_that_takes_tools_answers_through_them(agent: VlmAgent, server: Server) -> None:
    server.answer = lambda asked: called(asked) if "tools" in asked.body else Act(status=400)
    account = Account()
    assert look(agent, account) > 0
    answered = account.requests - 1
    assert (account.tokens_in, account.tokens_out) == (10 * answered, 5 * answered)


def test_a_server_that_names_a_field_it_does_not_know_is_asked_without_it(
    agent: VlmAgent, server: Server
) -> None:
    def answer(asked: Asked) -> Any:
        for name in ("temperature", "max_tokens"):
            if name in asked.body:
                said = {"error": {"message": f"Unsupported parameter: '{name}'.", "param": name}}
                return Act(status=400, raw=json.dumps(said).encode())
        return everything(asked)

    server.answer = answer
    assert look(agent) > 0
    assert server.steps()[:3] == ["deconstruct"] * 3
    last = server.asked[-1].body
    assert last["response_format"]["type"] == "json_schema"
    assert last["max_completion_tokens"] > 0 and last["seed"] == 0
    assert agent.identity.seed == 0


def test_an_address_in_a_private_network_is_not_asked_unless_the_operator_allows_it(
    server: Server,
) -> None:
    agent = VlmAgent(Endpoint(Where(server.url, "eye", key="secret")), at_once=1)
    with pytest.raises(JobFailed, match="MORELLI_VISION_PRIVATE") as caught:
        look(agent)
    agent.close()
    assert (caught.value.kind, caught.value.again, server.asked) == ("user_config", False, [])


def test_a_redirect_is_not_followed(agent: VlmAgent, server: Server) -> None:
    server.answer = lambda _: Act(status=307, headers={"Location": f"{server.url}/elsewhere"})
    with pytest.raises(NotAnswered, match="307"):
        look(agent)
    assert len(server.asked) == 1


def test_a_question_that_is_refused_after_others_were_answered_costs_its_image(
    agent: VlmAgent, server: Server
) -> None:
    server.answer = lambda asked: Act(status=400) if asked.step == "quantify" else everything(asked)
    with pytest.raises(NotAnswered, match="refuses this question"):
        look(agent)
    assert server.asked[-1].body["response_format"]["type"] == "json_schema"


def test_closing_ends_what_is_under_way_at_once(server: Server) -> None:
    server.answer = lambda _: Act(seconds=5.0, text="{}")
    agent = VlmAgent(Endpoint(Where(server.url, "eye", private=LOOPBACK, seconds=60)), at_once=1)
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
