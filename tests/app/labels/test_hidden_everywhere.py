"""With suggestions hidden, no page, fragment or answer of a project tells what is proposed on an image."""

import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.agents.models import AgentRunImage
from app.images.models import Image
from app.labels.access import COOKIE
from app.labels.proposing import Proposed, propose
from app.labels.saving import save
from app.main import routes
from app.projects.access import POLICIES
from taxonomy.tree import Polarity
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]

# How many attributes are proposed on each of two images. The numbers of the project are sums of them, and
# none of them is a size, a date or anything else that a page shows.
FIRST, SECOND = (131, 107), (113, 101)
PER_IMAGE = {*FIRST, *SECOND, sum(FIRST), sum(SECOND)}
# About the tree or the project as a whole, where the name of every attribute stands.
OF_THE_PROJECT = {
    "show_criteria": "the tree",
    "show_node_row": "the tree",
    "show_branches": "the tree",
    "show_criteria_version": "the tree",
    "show_criteria_picture": "the tree",
    "show_images_of_node": "names the pair that was asked for; its images leave out what is hidden",
    "show_notes": "names the pair that was asked for",
    "show_examples": "names the pair that was asked for",
    "show_usage": "names the pair that was asked for, with how often it is used in the whole project",
    "api_get_criteria": "the tree",
    "api_get_criteria_version": "the tree",
    "api_get_node": "the tree",
    "api_search_attributes": "the tree",
    "export_criteria": "the tree",
    "api_export_criteria": "the tree",
    "api_list_attributes": "what can be added",
    "show_agent_run": "what a run proposed in the whole project",
}
# Those that have to have been read, so that this test cannot pass by asking for nothing.
READ = {
    "show_images",
    "show_labels",
    "show_label_history",
    "show_image",
    "show_image_changes",
    "show_agent_runs",
    "show_agent_run",
    "show_survey",
    "api_list_images",
    "api_get_image",
    "api_get_labels",
    "api_list_history",
    "api_list_image_changes",
    "api_survey_dataset",
    "api_get_agent_run",
}


@dataclass
class Hung:
    people: Cast
    first: Image
    run_id: int
    names: set[str]
    """Of the attributes that only an agent states on the first image."""


@pytest.fixture
def hung(db: Session, make: Make) -> Hung:
    # No id that a page shows may be one of the numbers that it must not show.
    db.execute(
        text(
            "SELECT setval(oid::regclass, 10000) FROM pg_class"
            " WHERE relkind = 'S' AND coalesce(pg_sequence_last_value(oid), 0) < 10000"
        )
    )
    people = cast(make)
    project = people.project
    root = make.dimension(project, "Light", key="light")
    nodes = [
        make.pair(
            project, root, key=f"pair-{number}", relation="opposed",
            positive_name=f"Quality {number} qq", negative_name=f"Failing {number} ff",
        )
        for number in range(max(FIRST + SECOND) + 2)
    ]  # fmt: skip
    version = make.version(project)
    run = make.agent_run(project, version, images=2)
    images = [make.image(project), make.image(project)]
    sides: tuple[Polarity, Polarity] = ("positive", "negative")
    for image, numbers in zip(images, (FIRST, SECOND), strict=True):
        findings = [
            Proposed(image.id, node.id, side, measure="a measure", value=0.8123, threshold=0.5)
            for side, number in zip(sides, numbers, strict=True)
            for node in nodes[:number]
        ]
        propose(db, project, agent_run_id=run.id, version_id=version.id, findings=findings)
        # One label of a person beside them, so that the image is in the survey.
        _decide(db, people, people.ben, image, nodes[-1].key, "confirmed")
    unlabelled = make.image(project, name="without-labels.png")
    db.add_all(
        AgentRunImage(
            agent_run_id=run.id, image_id=image.id, version_id=version.id, state="labelled",
            proposed=sum(numbers), notes={"dimensions": ["light"]},
        )
        for image, numbers in zip(images, (FIRST, SECOND), strict=True)
    )  # fmt: skip
    db.add(
        AgentRunImage(
            agent_run_id=run.id, image_id=unlabelled.id, version_id=version.id, state="failed",
            reason="It could not be looked at.",
        )
    )  # fmt: skip
    db.commit()
    # Ada has rejected two of the agent's: that tells of them as well.
    for node in nodes[:2]:
        _decide(db, people, people.ada, images[0], node.key, "rejected")
    names = {node.positive_name for node in nodes[: FIRST[0]] if node.positive_name}
    return Hung(people, images[0], run.id, names)


def _decide(db: Session, people: Cast, by: Person, image: Image, key: str, state: Any) -> None:
    db.refresh(image)
    save(
        db, people.project, image.id, key=key, polarity="positive", state=state, by=by,
        based_on=image.label_revision, operation_id=uuid4(),
    )  # fmt: skip
    db.commit()


def asked() -> list[APIRoute]:
    """Everything in a project that an annotator may read."""
    return [
        route
        for route in routes()
        if "GET" in (route.methods or ()) and "{project}" in route.path and _is_annotators(route)
    ]


def _is_annotators(route: APIRoute) -> bool:
    waiting, names = [route.dependant], set()
    while waiting:
        each = waiting.pop()
        waiting += each.dependencies
        names.add(getattr(each.call, "__name__", "") if each.call in POLICIES else "")
    return "project_for_annotator" in names


def addresses(route: APIRoute, hung: Hung) -> Iterator[str]:
    values = {"project": hung.people.project.slug, "image_id": hung.first.id, "number": 1}
    values |= {"run_id": hung.run_id, "key": "pair-1", "version": 1, "kind": "thumb"}
    own = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: str(values.get(found[1], 1)), route.path)
    yield own
    yield f"{own}?show=proposed&words=painting"
    yield f"{own}?with_unfinished=true&only_done=false&q=painting"


def numbers_in(text: str) -> set[int]:
    """The numbers that a person or a program reads in an answer; ids are none."""
    if text.startswith(("{", "[")):
        return set(_values(json.loads(text)))
    shown = html.unescape(re.sub(r"<(script|style).*?</\1>", " ", text, flags=re.DOTALL))
    # What is read out or shown on hovering counts; addresses, ids and sizes do not.
    told = re.findall(r'(?:title|aria-label|placeholder|data-[\w-]+)="([^"]*)"', shown)
    words = " ".join([re.sub(r"<[^>]*>", " ", shown), *told])
    words = re.sub(r"(Quality|Failing) \d+ (qq|ff)|image[- ]\d+", " ", words)
    return {int(each) for each in re.findall(r"(?<![\w.:/-])\d+(?![\w.:/-]*\w)", words)}


def _values(found: Any, key: str = "") -> Iterator[int]:
    if isinstance(found, dict):
        for name, value in found.items():
            yield from _values(value, name)
    elif isinstance(found, list):
        for value in found:
            yield from _values(value, key)
    elif isinstance(found, int) and not (
        key.endswith("id") or key in {"next", "number", "position"}
    ):
        yield found


@pytest.mark.parametrize("kind", ["page", "fragment"])
def test_no_answer_tells_what_is_proposed_on_an_image(
    kind: str, hung: Hung, browser: TestClient, htmx: TestClient, sign_in: SignIn
) -> None:
    client = sign_in(browser if kind == "page" else htmx, hung.people.ben)
    client.cookies.set(COOKIE, "hide")
    read, told = set(), []
    for route in asked():
        for address in addresses(route, hung):
            answer = client.get(address, follow_redirects=False)
            assert answer.status_code < 500, address
            if answer.status_code == 200:
                read.add(route.name)
            text = answer.text if "image/" not in answer.headers.get("content-type", "") else ""
            if found := numbers_in(text) & PER_IMAGE:
                told.append(f"{address} shows {found}")
            if route.name not in OF_THE_PROJECT:
                plain = html.unescape(text)
                told += [
                    f"{route.name} {address} names {each}" for each in hung.names if each in plain
                ][:1]
            if "0.8123" in text:
                told.append(f"{address} shows a measure")
    assert told == [], "\n".join(told)
    assert read >= READ


def test_shown_suggestions_are_counted(hung: Hung, browser: TestClient, sign_in: SignIn) -> None:
    """What the test above looks for is there for whoever has not hidden it."""
    ben = sign_in(browser, hung.people.ben)
    root = f"/projects/{hung.people.project.slug}"
    assert sum(FIRST) - 2 in numbers_in(ben.get(f"{root}/images").text)
    counted = ben.get(f"/api/v1{root}/images/{hung.first.id}").json()["labels"]
    assert counted["positive"] == {
        "proposed": FIRST[0] - 2,
        "confirmed": 1,
        "rejected": 2,
        "unsure": 0,
    }
    ben.cookies.set(COOKIE, "hide")
    counted = ben.get(f"/api/v1{root}/images/{hung.first.id}").json()["labels"]
    assert counted == {
        "positive": {"proposed": 0, "confirmed": 1, "rejected": 0, "unsure": 0},
        "negative": {"proposed": 0, "confirmed": 0, "rejected": 0, "unsure": 0},
    }


def test_what_an_agent_did_with_each_image_is_hidden_too(
    hung: Hung, browser: TestClient, sign_in: SignIn
) -> None:
    ben = sign_in(browser, hung.people.ben)
    root = f"/projects/{hung.people.project.slug}"
    page, account = f"{root}/agent/{hung.run_id}", f"/api/v1{root}/agent-runs/{hung.run_id}/images"
    assert "without-labels.png" in ben.get(page).text
    assert len(ben.get(account).json()["items"]) == 3
    ben.cookies.set(COOKIE, "hide")
    assert "without-labels.png" not in ben.get(page).text
    assert ben.get(account).status_code == 403


def test_the_filter_by_proposals_is_hidden_too(
    hung: Hung, browser: TestClient, sign_in: SignIn
) -> None:
    ben = sign_in(browser, hung.people.ben)
    wall = f"/projects/{hung.people.project.slug}/images"
    assert "With proposals" in ben.get(wall).text
    ben.cookies.set(COOKIE, "hide")
    assert "With proposals" not in ben.get(wall).text
    for address in (f"{wall}?show=proposed", f"/api/v1{wall}?show=proposed"):
        answer = ben.get(address)
        assert answer.status_code == 422 and "hidden with the suggestions" in answer.text


def test_ones_own_rejections_stay_in_the_counts(
    db: Session, hung: Hung, browser: TestClient, sign_in: SignIn
) -> None:
    _decide(db, hung.people, hung.people.ben, hung.first, "pair-3", "rejected")
    ben = sign_in(browser, hung.people.ben)
    ben.cookies.set(COOKIE, "hide")
    address = f"/api/v1/projects/{hung.people.project.slug}/images/{hung.first.id}"
    assert ben.get(address).json()["labels"]["positive"]["rejected"] == 1
