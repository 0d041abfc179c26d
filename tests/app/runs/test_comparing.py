"""In what two runs differ."""

from collections.abc import Callable
from copy import deepcopy

from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.runs import reading
from app.runs.comparing import compare_configs, compare_runs
from method.training.config_reading import to_dict
from method.training.presets import PRESETS
from tests.app.runs.conftest import Finish, Launch, MakeDataset
from tests.factories import Make
from tests.people import cast


def test_options_that_differ_by_dotted_path_in_the_order_of_the_config() -> None:
    this = to_dict(PRESETS["tiny"].config("sft"))
    other = deepcopy(this)
    other["seed"] = this["seed"] + 1
    other["lora"]["rank"] = 2 * this["lora"]["rank"]
    other["samples"]["prompts"] = ["a house"]
    found = {each.path: (each.this, each.other) for each in compare_configs(this, other)}
    assert found == {
        "seed": (this["seed"], other["seed"]),
        "lora.rank": (this["lora"]["rank"], other["lora"]["rank"]),
        "samples.prompts": (this["samples"]["prompts"], ["a house"]),
    }
    names = list(this)
    assert [names.index(path.split(".")[0]) for path in found] == sorted(
        names.index(path.split(".")[0]) for path in found
    )
    assert compare_configs(this, this) == []


def test_an_option_that_only_one_run_has_is_none_in_the_other() -> None:
    found = compare_configs({"lora": {"rank": 4}}, {"lora": {"rank": 4, "old": 1}, "gone": 2})
    assert [(each.path, each.this, each.other) for each in found] == [
        ("lora.old", None, 1),
        ("gone", None, 2),
    ]


def test_places_are_no_differences() -> None:
    this = {
        "run_folder": "/a",
        "dataset_folder": "/b",
        "data": {"cache_folder": "/c", "split": "all"},
    }
    other = {
        "run_folder": "/d",
        "dataset_folder": "/e",
        "data": {"cache_folder": None, "split": "all"},
    }
    assert compare_configs(this, other) == []


def test_runs_differ_in_dataset_and_expert_by_name(
    db: Session, make: Make, make_dataset: MakeDataset, launch: Launch, finish: Finish
) -> None:
    project = cast(make).project
    first, second = make_dataset(project), make_dataset(project, number=2)
    expert = finish(launch(project, first, name="Expert"))
    one = launch(project, first, kind="cpo_s", expert_run_id=expert.id)
    two = launch(project, second, name="Other data")
    rows = [reading.get_run_row(db, project, run.id) for run in (expert, one, two)]
    found = {each.path: (each.this, each.other) for each in compare_runs(rows[1], rows[2])}
    assert found["dataset"] == ("1: Houses", "2: Houses")
    assert found["expert"] == ("1: Expert", None)
    assert found["objective.kind"] == ("cpo_s", "sft")
    assert "dataset" not in {each.path for each in compare_runs(rows[0], rows[1])}
    assert compare_runs(rows[0], rows[0]) == []


def test_api_and_page_show_only_what_differs(
    api: TestClient,
    browser: TestClient,
    sign_in: Callable[[TestClient, Person], TestClient],
    token_for: Callable[[Person], dict[str, str]],
    make: Make,
    make_dataset: MakeDataset,
    launch: Launch,
) -> None:
    people = cast(make)
    dataset = make_dataset(people.project)
    one = launch(people.project, dataset)
    two = launch(people.project, dataset, options={"lora.rank": 9}, name="<Nine>")
    root = f"/projects/paintings/runs/{one.id}"
    ben = token_for(people.ben)
    found = api.get(f"/api/v1{root}/differences/{two.id}", headers=ben).json()["items"]
    assert found == [{"path": "lora.rank", "this": one.config["lora"]["rank"], "other": 9}]
    assert api.get(f"/api/v1{root}/differences/{2**60}", headers=ben).status_code == 404
    dora = token_for(people.dora)
    assert api.get(f"/api/v1{root}/differences/{two.id}", headers=dora).status_code == 404
    page = sign_in(browser, people.ben)
    shown = part_of(page, f"{root}?against={two.id}")
    assert "<code>lora.rank</code>" in shown and shown.count("<code>") == 1
    assert "&lt;Nine&gt;" in shown
    assert "<code>" not in part_of(page, root)
    same = launch(people.project, dataset, name="Same")
    assert "Nothing: same options" in part_of(page, f"{root}?against={same.id}")
    assert page.get(f"{root}?against={10**9}").status_code == 404


def part_of(page: TestClient, address: str) -> str:
    """The panel of differences on a run's page."""
    text = page.get(address).text
    return text[text.index('id="run-differences"') : text.index('id="run-config"')]
