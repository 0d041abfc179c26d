"""Images that are given to persons, and the orders in which images come."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from sqlalchemy import ScalarResult, func, select
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.errors import AppError
from app.images.models import Image
from app.queue.assigning import assign, find_assignments, take_back
from app.queue.models import STRATEGIES, WaitingImage
from app.queue.ordering import ask_to_measure, set_strategy
from tests.app.queue.conftest import Queue
from worker import ledger, queue_measuring

TokenFor = Callable[[Person], dict[str, str]]


def give(queue: Queue, *people: Person, num_images: int = 100, **how: Any) -> list[int]:
    """The ids of the assignments."""
    made = assign(
        queue.bench.db,
        queue.bench.project,
        person_ids=[each.id for each in people],
        num_images=num_images,
        by=queue.bench.people.lea,
        **how,
    )
    queue.bench.db.commit()
    return [each.id for each in made]


def test_what_one_was_given_comes_first_and_is_handed_to_nobody_else(queue: Queue) -> None:
    images, people = queue.hang(5), queue.bench.people
    ada, ben = people.ada, people.ben
    (given,) = give(queue, ada, num_images=2)
    assert [queue.next_for(ben), queue.next_for(ada)] == [images[2], images[0]]
    assert queue.next_for(ada, after=images[0]) == images[1]
    queue.finish(images[0], ada)
    queue.finish(images[1], ada)
    assert queue.next_for(ada) == images[3]

    first, second = give(queue, ada, ben, num_images=3)
    held = {
        each.assignment.id: each for each in find_assignments(queue.bench.db, queue.bench.project)
    }
    assert [held[each].num_waiting for each in (given, first, second)] == [0, 2, 1]
    assert [held[each].num_done for each in (given, first, second)] == [2, 0, 0]
    take_back(queue.bench.db, queue.bench.project, first, by=people.lea)
    queue.bench.db.commit()
    assert (
        find_assignments(queue.bench.db, queue.bench.project, person=ada)[0].assignment.id == given
    )
    assert queue.bench.db.scalar(select(func.count(WaitingImage.assignment_id))) == 1


def test_an_image_is_given_once(queue: Queue) -> None:
    queue.hang(2)
    give(queue, queue.bench.people.ada, num_images=2)
    give(queue, queue.bench.people.ben, num_images=2)
    given = find_assignments(queue.bench.db, queue.bench.project)
    assert [each.assignment.num_images for each in given] == [1, 2]
    with pytest.raises(AppError, match="No image of this choice waits"):
        give(queue, queue.bench.people.ben)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"show": "no such"}, "filtered by"),
        ({"strategy": "no such"}, "in the order of"),
        ({"num_images": 0}, "From 1 to 20,000"),
        ({"num_images": 20_001}, "From 1 to 20,000"),
        ({"show": "done"}, "No image of this choice"),
    ],
)
def test_what_cannot_be_given_is_refused(queue: Queue, how: dict[str, Any], said: str) -> None:
    with pytest.raises(AppError, match=said):
        give(queue, queue.bench.people.ben, **how)


def test_only_leads_give_and_only_to_members(
    queue: Queue, api: TestClient, token_for: TokenFor
) -> None:
    people = queue.bench.people
    root = f"/api/v1/projects/{queue.bench.project.slug}/queue/assignments"
    body = {"persons": [people.ben.id], "num_images": 1}
    assert api.post(root, json=body, headers=token_for(people.ada)).status_code == 403
    lead = token_for(people.lea)
    refused = api.post(root, json=body | {"persons": [people.dora.id]}, headers=lead)
    assert (refused.status_code, refused.json()["field"]) == (422, "persons")
    (made,) = api.post(root, json=body, headers=lead).json()["items"]
    assert (made["person"], made["waiting"], made["given_by"]) == ("Ben", 1, "Lea")
    assert api.delete(f"{root}/{made['id']}", headers=lead).status_code == 204
    assert api.delete(f"{root}/{made['id']}", headers=lead).status_code == 409
    assert api.get(root, headers=lead).json()["items"][0]["taken_back"] == 1


def test_images_with_contradictions_are_given_alone(queue: Queue) -> None:
    bench = queue.bench
    queue.hang(3)
    images = project_images(queue).all()
    bench.propose(("circle", "negative"), image=images[1])
    bench.propose(("dark", "positive"), ("bright", "positive"), image=images[2])
    made = assign(
        bench.db,
        bench.project,
        person_ids=[bench.people.ben.id],
        show="contradictory",
        num_images=20,
        by=bench.people.lea,
    )
    assert [each.num_images for each in made] == [2]


def test_each_order_hands_out_first_what_it_says(queue: Queue) -> None:
    bench = queue.bench
    calm, unsure, against, wrong, seen = queue.hang(4)
    project, ben = bench.project, bench.people.ben
    images = {each.id: each for each in project_images(queue)}
    bench.propose(("circle", "positive"), image=images[calm], confidence=0.9)
    bench.propose(("circle", "positive"), image=images[unsure], confidence=0.1)
    bench.propose(
        ("circle", "negative"), image=images[against], confidence=0.9
    )  # a flaw of nothing
    bench.propose(("dark", "positive"), image=images[wrong], confidence=0.9)
    # Of “dark” the agent was wrong on an image that is done.
    bench.image = images[seen]
    bench.propose(("dark", "positive"))
    bench.save("dark", "rejected")
    queue.finish(seen, ben)
    job = ask_to_measure(bench.db, project, by=bench.people.lea)
    bench.db.commit()
    assert ledger.run(job.id, {job.kind: queue_measuring.run})
    expected = {"least_certain": unsure, "contradictory": against, "agent_wrong": wrong, "id": calm}
    handed = {}
    for strategy in STRATEGIES:
        set_strategy(bench.db, project, strategy, by=bench.people.lea)
        bench.db.commit()
        handed[strategy] = walk(queue, ben)
    assert {each: order[0] for each, order in handed.items() if each != "random"} == expected
    assert all(sorted(order) == [calm, unsure, against, wrong] for order in handed.values())
    assert walk(queue, ben) == handed[STRATEGIES[-1]]


def walk(queue: Queue, person: Person) -> list[int]:
    """The images in the order in which they are handed to somebody who passes over each."""
    order: list[int] = []
    after = 0
    while (image_id := queue.next_for(person, after=after)) not in (None, *order):
        assert image_id is not None
        order.append(image_id)
        after = image_id
    return order


def project_images(queue: Queue) -> ScalarResult[Image]:
    return queue.bench.db.scalars(select(Image).where(Image.project_id == queue.bench.project.id))


def test_the_page_leads_to_where_images_of_any_filter_are_given(
    queue: Queue, browser: TestClient, sign_in: Callable[[TestClient, Person], TestClient]
) -> None:
    queue.hang(2)
    sign_in(browser, queue.bench.people.lea)
    (link,) = re.findall(
        r'href="([^"]*\?more=true)"', browser.get("/projects/paintings/queue").text
    )
    wall = browser.get(f"{link}&show=undone").text
    form = re.findall(r'href="([^"]*/bulk/new\?[^"]*)"', wall)[0]
    assert 'value="assign"' in browser.get(unescape(form)).text
