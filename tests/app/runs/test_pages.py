"""The pages of runs in every state, and who may do what."""

import asyncio
import html
import io
import re
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator

import httpx2
import pytest
import uvicorn
import yaml
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.access import cookie_name
from app.accounts.models import Person
from app.errors import Unavailable
from app.jobs.models import Job
from app.runs import base_models, launching, options, recording, watching
from app.runs.models import Run, RunSample
from app.runs.sample_grid import sample_grid
from method.objectives import OBJECTIVES
from method.training.config_fields import changed
from method.training.presets import PRESETS
from tests.app.runs.conftest import Finish, Launch, MakeDataset, forget_models, metric, set_state
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]
ROOT = "/projects/paintings/runs"


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


@pytest.fixture
def lea(browser: TestClient, sign_in: SignIn, people: Cast) -> TestClient:
    return sign_in(browser, people.lea)


def fields(text: str) -> dict[str, str]:
    """The values that a launch page would send."""
    typed = dict(re.findall(r'<input id="[^"]*" name="([^"]+)"[^>]* value="([^"]*)"', text))
    typed |= dict(re.findall(r'<textarea id="[^"]*" name="([^"]+)"[^>]*>([^<]*)<', text))
    for name, inner in re.findall(
        r'<select id="[^"]*" name="([^"]+)"(.*?)</select>', text, re.DOTALL
    ):
        chosen = re.findall(r'<option value="([^"]*)" selected', inner)
        typed[name] = chosen[0] if chosen else re.findall(r'<option value="([^"]*)"', inner)[0]
    return typed


def test_an_empty_list_says_what_to_do_first(lea: TestClient) -> None:
    assert "freeze one" in lea.get(ROOT).text


@pytest.mark.parametrize(
    "state", ["queued", "running", "cancelling", "failed", "cancelled", "succeeded"]
)
def test_shows_a_run_in_every_state(
    lea: TestClient, db: Session, people: Cast, launch: Launch, finish: Finish, state: str
) -> None:
    run = launch(people.project, name="<Night & day>")
    if state == "queued":
        set_state(db, run, state)
    else:
        finish(run, state=state)
    listed = lea.get(ROOT)
    page = lea.get(f"{ROOT}/{run.id}")
    assert (listed.status_code, page.status_code) == (200, 200)
    for text in (listed.text, page.text):
        assert f"chip-{state}" in text
        assert "&lt;Night &amp; day&gt;" in text
    assert ("every 2s" in listed.text) == (state in ("queued", "running", "cancelling"))
    assert (f"{ROOT}/{run.id}/cancel" in page.text) == (state in ("queued", "running"))
    assert (f"{ROOT}/{run.id}/resume" in page.text) == (state in ("failed", "cancelled"))
    assert ("load_lora_weights" in page.text) == (state == "succeeded")
    if state != "queued":
        assert "the last line" in page.text
        assert 'alt="This run: a &lt;house&gt;, seed 7"' in page.text
        assert re.search(r"accuracy</th><td class=\"num\">0.75<", page.text)
    if state == "failed":
        assert "The &lt;loss&gt; is not finite." in page.text


def test_htmx_gets_the_parts_that_change(
    htmx: TestClient, sign_in: SignIn, people: Cast, launch: Launch, finish: Finish
) -> None:
    run = finish(launch(people.project), state="running")
    text = sign_in(htmx, people.ben).get(f"{ROOT}/{run.id}").text
    assert 'id="run-state"' in text and 'id="run-outcome"' in text and 'id="samples"' in text
    assert "<html" not in text
    assert "/cancel" not in text  # an annotator watches


def test_a_step_of_the_samples_has_an_address(
    lea: TestClient, people: Cast, launch: Launch, finish: Finish
) -> None:
    run = finish(launch(people.project))
    newest = lea.get(f"{ROOT}/{run.id}").text
    assert "step-000040-00.png" in newest and "step-000020-00.png" not in newest
    assert "step-000000-00.png" in newest  # a first step of stage 1 is the base model
    assert "step-000020-00.png" in lea.get(f"{ROOT}/{run.id}?step=20").text


def test_a_step_that_is_being_sampled_waits_until_it_is_whole() -> None:
    def row(step: int, index: int, model: str = "target") -> RunSample:
        file = f"samples/{step}-{index}-{model}.png"
        return RunSample(file=file, step=step, index=index, model=model, prompt="a", seed=0)

    whole = [row(0, 0), row(0, 1), row(0, 0, "base"), row(0, 1, "base"), row(20, 0), row(20, 1)]
    shown = sample_grid([*whole, row(40, 0)])
    assert (shown.steps, shown.step, shown.models) == ([0, 20], 20, ["base", "target"])
    assert [each.files["target"] for each in shown.cases] == ["20-0-target.png", "20-1-target.png"]
    assert sample_grid([*whole, row(40, 0), row(40, 1)]).step == 40
    assert sample_grid([]).step is None


def test_the_moving_average_turns_with_the_trained_weights() -> None:
    def row(step: int, model: str) -> RunSample:
        file = f"samples/{step}-{model}.png"
        return RunSample(file=file, step=step, index=0, model=model, prompt="a", seed=0)

    rows = [row(0, "base"), row(0, "expert"), row(0, "target"), row(0, "ema")]
    rows += [row(20, "target"), row(20, "ema")]
    shown = sample_grid(rows, step=0)
    assert shown.models == ["base", "expert", "target", "ema"]
    assert shown.cases[0].files["ema"] == "0-ema.png"
    newest = sample_grid(rows).cases[0].files
    assert newest == {
        "base": "0-base.png", "expert": "0-expert.png", "target": "20-target.png", "ema": "20-ema.png",
    }  # fmt: skip
    assert sample_grid(rows[:-1]).step == 0  # its average is not there yet


@pytest.mark.parametrize("kind", ["dpo", "npo", "spo"])
def test_runs_of_every_kind_have_a_page(
    lea: TestClient, people: Cast, launch: Launch, finish: Finish, kind: str
) -> None:
    run = finish(launch(people.project, kind=kind), state="running")
    page, listed = lea.get(f"{ROOT}/{run.id}"), lea.get(ROOT)
    assert (page.status_code, listed.status_code) == (200, 200)
    data = (
        f"datasets/{run.dataset_id}" if kind == "spo" else f"datasets/pairs/{run.pair_dataset_id}"
    )
    assert OBJECTIVES[kind].title in html.unescape(page.text)
    assert f'"/projects/paintings/{data}"' in page.text
    assert f'"/projects/paintings/{data}"' in listed.text
    assert "expert <a" not in page.text


def test_a_view_of_several_runs_has_an_address(
    lea: TestClient, people: Cast, launch: Launch, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(people.project)
    runs = [launch(people.project, dataset, name=f"Number {n}").id for n in range(8)]
    elsewhere = f"{ROOT}/{runs[0]}"
    chosen = lea.get(ROOT, params={"compare": runs[:3]}, follow_redirects=False)
    assert (chosen.status_code, chosen.headers["location"]) == (
        303,
        f"{elsewhere}?compare={runs[1]},{runs[2]}",
    )
    page = lea.get(chosen.headers["location"]).text
    assert re.findall(r'name="compare" value="(\d+)"[^>]* checked', page) == [
        str(runs[2]),
        str(runs[1]),
    ]
    # What is no run of this project is passed over; more than can be told apart is refused.
    assert lea.get(f"{elsewhere}?compare=999999,x,{runs[1]}").status_code == 200
    many = lea.get(f"{elsewhere}?compare={','.join(map(str, runs[1:7]))}")
    assert many.status_code == 422 and "too many" in many.text


def test_the_form_launches_what_it_shows(
    lea: TestClient, db: Session, people: Cast, make_dataset: MakeDataset, model: str
) -> None:
    dataset = make_dataset(people.project)
    typed = fields(lea.get(f"{ROOT}/new?dataset={dataset.id}").text)
    assert typed["preset"] == "tiny" and typed["base_model"] == model
    estimate = lea.post(f"{ROOT}/estimate", data=typed).text
    assert "120 steps" in estimate
    done = lea.post(ROOT, data=typed | {"optimization.max_steps": "", "optimization.epochs": "3"})
    run = db.scalars(select(Run)).one()
    assert (done.status_code, done.headers["location"]) == (303, f"{ROOT}/{run.id}")
    expected = changed(
        PRESETS["tiny"].config("sft"),
        {
            "optimization.max_steps": None,
            "optimization.epochs": 3,
            "samples.prompts": ("house 0", "house 1", "house 2", "house 3"),
        },
    )
    config = launching.config_of(run)
    for option in options.options().values():
        if option.concerns("sft") and option.path not in options.OWN:
            assert option.field.of(config) == option.field.of(expected), option.path
    cloned = fields(lea.get(f"{ROOT}/new?clone={run.id}").text)
    assert cloned["optimization.max_steps"] == "" and cloned["optimization.epochs"] == "3"
    assert cloned["samples.prompts"].split() == [
        "house",
        "0",
        "house",
        "1",
        "house",
        "2",
        "house",
        "3",
    ]


def test_the_form_of_stage_2_offers_finished_experts(
    lea: TestClient, db: Session, people: Cast, launch: Launch, finish: Finish
) -> None:
    expert = finish(launch(people.project))
    page = lea.get(f"{ROOT}/new?expert={expert.id}&dataset={expert.dataset_id}").text
    typed = fields(page)
    assert typed["kind"] == "cpo_s" and typed["expert_run_id"] == str(expert.id)
    assert "objective.beta" in typed and "objective.drop_all" not in typed
    assert lea.post(ROOT, data=typed).status_code == 303
    newest = db.scalars(select(Run).order_by(Run.id.desc())).first()
    assert newest is not None and newest.expert_run_id == expert.id


def test_errors_stand_beside_their_fields(
    lea: TestClient, db: Session, people: Cast, make_dataset: MakeDataset, model: str
) -> None:
    dataset = make_dataset(people.project)
    typed = fields(lea.get(f"{ROOT}/new?dataset={dataset.id}").text)
    wrong = {"optimization.learning_rate": "fast", "threads": "-3", "lora.rank": "0"}
    answer = lea.post(ROOT, data=typed | wrong)
    assert answer.status_code == 422
    for path in wrong:
        assert f'id="option-{path.replace(".", "-")}-error"' in answer.text
    assert 'value="fast"' in answer.text
    assert "<details open>" in answer.text  # threads stands among all options
    answer = lea.post(ROOT, data=typed | {"base_model": "nothing"})
    assert 'id="error-base_model"' in answer.text
    answer = lea.post(ROOT, data=typed | {"kind": "cpo_s"})
    assert 'id="error-expert_run_id"' in answer.text
    assert lea.post(ROOT, data=typed | {"run_folder": "/etc"}).status_code == 422
    assert lea.post(ROOT, data=typed | {"dataset_id": "9" * 30}).status_code == 422
    assert db.scalar(select(func.count(Run.id))) == 0
    assert db.scalar(select(func.count(Job.id))) == 0


def test_the_tiny_model_is_one_button_away(
    lea: TestClient, db: Session, people: Cast, make_dataset: MakeDataset
) -> None:
    forget_models()
    assert f'action="{ROOT}/base-model"' in lea.get(f"{ROOT}/new").text
    assert lea.post(f"{ROOT}/base-model").status_code == 303
    job = db.scalars(select(Job)).one()
    assert job.spec["name"] == base_models.TINY
    page = lea.get(f"{ROOT}/new").text
    assert f"job {job.id}" in page and f'action="{ROOT}/base-model"' not in page


def test_cancel_and_resume(lea: TestClient, db: Session, people: Cast, launch: Launch) -> None:
    run = launch(people.project)
    for action, state in (("cancel", "cancelled"), ("resume", "queued")):
        answer = lea.post(f"{ROOT}/{run.id}/{action}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{ROOT}/{run.id}")
        job = db.get_one(Job, run.job_id)
        db.refresh(job)
        assert job.state == state
    assert lea.post(f"{ROOT}/{run.id}/resume").status_code == 409


def test_downloads(lea: TestClient, people: Cast, launch: Launch, finish: Finish) -> None:
    run = launch(people.project)
    assert lea.get(f"{ROOT}/{run.id}/adapter.safetensors").status_code == 404
    finish(run)
    weights = lea.get(f"{ROOT}/{run.id}/adapter.safetensors")
    assert weights.content == b"weights"
    assert f'filename="{run.folder}.safetensors"' in weights.headers["content-disposition"]
    packed = zipfile.ZipFile(io.BytesIO(lea.get(f"{ROOT}/{run.id}/adapter.zip").content))
    assert packed.namelist() == [
        f"{run.folder}/README.md", f"{run.folder}/pytorch_lora_weights.safetensors",
    ]  # fmt: skip
    config = lea.get(f"{ROOT}/{run.id}/config.yaml")
    assert yaml.safe_load(config.text) == run.config
    assert config.text.startswith("run_folder:")


def test_serves_only_files_that_the_run_has_recorded(
    lea: TestClient, db: Session, people: Cast, launch: Launch, finish: Finish
) -> None:
    run = finish(launch(people.project))
    folder = launching.folder_of(run)
    (folder / "samples" / "other.png").write_bytes(b"not recorded")
    (folder / "samples" / "link.png").symlink_to(folder / "log.txt")
    db.add(
        RunSample(
            run_id=run.id,
            file="samples/link.png",
            step=0,
            index=1,
            model="target",
            prompt="",
            seed=0,
        )
    )
    db.commit()
    here = f"{ROOT}/{run.id}/samples"
    picture = lea.get(f"{here}/step-000020-00.png")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    assert "sandbox" in picture.headers["content-security-policy"]
    for name in (
        "other.png",
        "link.png",
        "..%2Flog.txt",
        "%2e%2e/log.txt",
        "%00.png",
        "..%2F..%2Fx",
    ):
        assert lea.get(f"{here}/{name}").status_code == 404, name


def test_who_may(
    browser: TestClient, sign_in: SignIn, people: Cast, launch: Launch, finish: Finish
) -> None:
    run = finish(launch(people.project), state="running")
    own = ["", "/config.yaml", "/samples/step-000000-00.png"]
    ben = sign_in(browser, people.ben)
    assert [ben.get(f"{ROOT}/{run.id}{each}").status_code for each in own] == [200, 200, 200]
    assert ben.get(f"{ROOT}/new").status_code == 403
    for path in ("", "/base-model", f"/{run.id}/cancel", f"/{run.id}/resume"):
        assert ben.post(ROOT + path).status_code == 403
    dora = sign_in(browser, people.dora)
    paths = [*own, "/events", "/adapter.zip"]
    assert {dora.get(f"{ROOT}/{run.id}{each}").status_code for each in paths} == {404}
    # A run of another project is not there in one's own.
    assert {dora.get(f"/projects/elsewhere/runs/{run.id}{each}").status_code for each in paths} == {
        404
    }


# JSON ---------------------------------------------------------------------------------------------


def test_api_launches_lists_and_shows(
    api: TestClient, token_for: Callable[[Person], dict[str, str]], people: Cast,
    make_dataset: MakeDataset, model: str, finish: Finish, db: Session,
) -> None:  # fmt: skip
    dataset = make_dataset(people.project)
    root, lea = "/api/v1/projects/paintings/runs", token_for(people.lea)
    body = {
        "kind": "sft", "name": "By program", "dataset_id": dataset.id, "base_model": model,
        "preset": "tiny", "options": {"seed": 5},
    }  # fmt: skip
    made = api.post(root, json=body, headers=lea)
    assert (made.status_code, made.json()["state"], made.json()["config"]["seed"]) == (
        202,
        "queued",
        5,
    )
    wrong = api.post(root, json=body | {"options": {"seed": "x", "no": 1}}, headers=lea)
    assert wrong.status_code == 422
    assert [each["where"] for each in wrong.json()["problems"]] == ["seed", "no"]
    assert api.post(root, json=body, headers=token_for(people.ben)).status_code == 403
    run = finish(db.get_one(Run, made.json()["id"]))
    shown = api.get(f"{root}/{run.id}", headers=lea).json()
    assert (shown["state"], shown["last"]["step"], shown["result"]["steps"]) == (
        "succeeded",
        40,
        40,
    )
    assert list(shown["config"])[:2] == ["run_folder", "dataset_folder"]
    listed = api.get(f"{root}?limit=1", headers=lea).json()
    assert ([each["id"] for each in listed["items"]], listed["next"]) == ([run.id], None)
    samples = api.get(f"{root}/{run.id}/samples", headers=lea).json()["items"]
    assert api.get(samples[0]["address"], headers=lea).headers["content-type"] == "image/png"
    checkpoints = api.get(f"{root}/{run.id}/checkpoints", headers=lea).json()["items"]
    assert [(each["step"], each["bytes"]) for each in checkpoints] == [(40, 5 * 2**31)]
    assert (
        api.get(f"{root}/{run.id}/log?lines=2", headers=lea).json()["text"] == "line\nthe last line"
    )
    ben = token_for(people.ben)
    assert api.get(f"{root}/{run.id}/log", headers=ben).status_code == 403
    assert api.get(f"{root}/{run.id}/adapter", headers=lea).content == b"weights"
    assert api.get(f"{root}/{2**70}", headers=lea).status_code == 404
    models = api.get("/api/v1/projects/paintings/base-models", headers=lea).json()
    assert [each["name"] for each in models["items"]] == [model]


# Live ---------------------------------------------------------------------------------------------


@pytest.fixture
def server(servers: None) -> Iterator[str]:
    """A real server: a test client cannot read an answer that does not end."""
    from app.main import app

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = uvicorn.Server(
        uvicorn.Config(app, port=port, log_level="critical", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join()


def test_events_arrive_when_something_is_recorded(
    server: str, db: Session, people: Cast, lea: TestClient, launch: Launch
) -> None:
    run = launch(people.project)
    cookie = {"Cookie": f"{cookie_name()}={lea.cookies[cookie_name()]}"}
    with httpx2.stream("GET", f"{server}{ROOT}/{run.id}/events", headers=cookie, timeout=20) as got:
        assert got.headers["content-type"].startswith("text/event-stream")
        lines = got.iter_lines()
        assert "event: changed" in [next(lines), next(lines)]
        # Nobody holds a transaction open while the page listens.
        idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        db.commit()
        assert db.connection().exec_driver_sql(idle).scalar() == 0
        watching.publish(run.id + 1)
        recording.record_metrics(db, run, [metric(1)])
        watching.announce(db, run.id)
        db.commit()
        for action in db.info.pop("after_commit"):
            action()
        rest = [next(lines) for _ in range(5)]
    assert rest.count("event: changed") == 1


def test_so_many_listen_and_the_next_is_told_to_ask(
    monkeypatch: pytest.MonkeyPatch, people: Cast, lea: TestClient, launch: Launch
) -> None:
    run = launch(people.project)
    monkeypatch.setattr(watching, "MOST_LISTENING", 1)

    async def listen() -> str:
        async with watching.listening(run.id):
            answer = await asyncio.to_thread(lea.get, f"{ROOT}/{run.id}/events")
            return str(answer.text)

    for _ in range(2):
        assert asyncio.run(listen()) == "event: unavailable\ndata: {}\n\n"


class Nowhere:
    redis_url = None


def test_a_stream_without_redis_says_so(
    monkeypatch: pytest.MonkeyPatch, people: Cast, lea: TestClient, launch: Launch
) -> None:
    run = launch(people.project)

    async def first() -> bool:
        async with watching.listening(run.id):
            return True

    monkeypatch.setattr(watching, "settings", Nowhere)
    with pytest.raises(Unavailable):
        asyncio.run(first())
    answer = lea.get(f"{ROOT}/{run.id}/events")
    assert answer.text == "event: unavailable\ndata: {}\n\n"
    watching.publish(run.id)
