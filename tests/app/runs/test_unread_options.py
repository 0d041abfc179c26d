"""Options that a kind of run does not read are refused in the trainer's words, whoever launches it."""

import html
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.jobs.models import Job
from app.runs.option_values import as_text
from app.runs.options import OWN, options
from method.objectives import OBJECTIVES
from method.training.config_checks import refuse_unread
from method.training.config_fields import Field, changed
from method.training.failures import InvalidConfig
from method.training.presets import plain
from tests.app.runs.conftest import PAIRED, Finish, Launch, MakeDataset, MakePairs
from tests.factories import Make
from tests.people import Cast, cast

ROOT = "/projects/paintings/runs"
CANDIDATES = (0.25, 1, 2, 3, 4, 7, 20, "x", "elsewhere", True)


def another(field: Field) -> Any:
    """A value of an option that is not its default."""
    for value in (*field.choices, *CANDIDATES):
        try:
            found = field.read(value)
        except InvalidConfig:
            continue
        if found and found != field.default:
            return found
    raise AssertionError(f"{field.path}: no value is known here")


def unread_of(kind: str) -> dict[str, Any]:
    """Every option that this kind does not read, with another value than its default."""
    return {
        path: another(option.field)
        for path, option in options().items()
        if path not in OWN and not option.concerns(kind)
    }


def words_of_the_trainer(kind: str, path: str, value: object) -> str:
    with pytest.raises(InvalidConfig) as refused:
        refuse_unread(changed(plain(kind), {path: value}))
    return refused.value.problems[path]


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_api_and_form_refuse_what_would_not_be_read_before_there_is_a_job(
    kind: str,
    db: Session,
    api: TestClient,
    browser: TestClient,
    people: Cast,
    sign_in: Callable[[TestClient, Person], TestClient],
    token_for: Callable[[Person], dict[str, str]],
    make_dataset: MakeDataset,
    make_pairs: MakePairs,
    launch: Launch,
    finish: Finish,
    model: str,
) -> None:
    project = people.project
    dataset = make_dataset(project)
    source: dict[str, Any] = {"dataset_id": dataset.id}
    if kind in PAIRED:
        source = {"pair_dataset_id": make_pairs(project).id}
    if OBJECTIVES[kind].needs_expert:
        source["expert_run_id"] = finish(launch(project, dataset)).id
    before = db.scalars(select(Job.id)).all()
    headers = token_for(people.lea)
    sign_in(browser, people.lea)
    least = {"kind": kind, "name": "In vain", "base_model": model, **source}
    unread = unread_of(kind)
    assert unread
    for path, value in unread.items():
        words = words_of_the_trainer(kind, path, value)
        body = least | {"options": {path: value}}
        told = api.post(f"/api/v1{ROOT}", json=body, headers=headers)
        assert (told.status_code, told.json().get("field")) == (422, path), path
        assert words in told.json()["detail"]
        page = browser.post(ROOT, data=least | {path: as_text(value)})
        assert page.status_code == 422, path
        assert words in html.unescape(page.text)
    assert db.scalars(select(Job.id)).all() == before
