"""Which image who is handed next: nobody one that somebody else is at, however many ask at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.database import unit_of_work
from app.images.finding import get_image
from app.labels.saving import set_done
from app.queue.handing_out import claim_next
from tests.app.queue.conftest import Queue

TokenFor = Callable[[Person], dict[str, str]]
SignIn = Callable[[TestClient, Person], TestClient]


def test_nobody_is_handed_what_somebody_else_is_at(queue: Queue) -> None:
    first, second, third = queue.hang(2)
    ada, ben = queue.bench.people.ada, queue.bench.people.ben
    assert queue.next_for(ben) == first
    assert queue.next_for(ben) == first  # their own stays theirs
    assert queue.next_for(ada) == second
    assert queue.next_for(ben, after=first) == third
    assert queue.next_for(ada, after=second) is None  # all that wait are with somebody
    assert queue.next_for(ben, after=third) == first  # starting over
    queue.finish(first, ben)
    assert queue.next_for(ben) == third
    queue.bench.db.execute(text("UPDATE image_lease SET until = now() - interval '1 second'"))
    queue.bench.db.commit()
    assert queue.next_for(ada, after=second) == third  # Ben went away


def test_sixteen_at_once_never_meet(queue: Queue) -> None:
    images, project = queue.hang(79), queue.bench.project
    people = [queue.bench.make.member(project, "annotator", f"Nr {each}") for each in range(16)]
    handed: list[int] = []
    barrier = threading.Barrier(len(people))

    def work(person: Person) -> None:
        barrier.wait()
        for _ in range(5):
            with unit_of_work() as db:
                image_id = claim_next(db, project, person)
            assert image_id is not None
            handed.append(image_id)
            with unit_of_work() as db:
                set_done(db, project, image_id, done=True, by=person)

    with ThreadPoolExecutor(len(people)) as pool:
        for each in [pool.submit(work, person) for person in people]:
            each.result()
    assert sorted(handed) == images
    assert queue.next_for(people[0]) is None


def test_an_image_is_handed_out_while_somebody_saves_on_it(queue: Queue) -> None:
    (image_id,) = queue.hang(0)
    project, ben = queue.bench.project, queue.bench.people.ben
    with unit_of_work() as saving:
        get_image(saving, project, image_id, lock=True)
        with unit_of_work() as asking:
            asking.execute(text("SET LOCAL lock_timeout = '3s'"))
            assert claim_next(asking, project, ben) == image_id


def test_sixteen_who_ask_for_the_last_image_get_it_once(queue: Queue) -> None:
    (only,) = queue.hang(0)
    project = queue.bench.project
    people = [queue.bench.make.member(project, "annotator", f"Nr {each}") for each in range(16)]
    barrier = threading.Barrier(len(people))

    def ask(person: Person) -> int | None:
        with unit_of_work() as db:
            barrier.wait()
            return claim_next(db, project, person)

    with ThreadPoolExecutor(len(people)) as pool:
        found = list(pool.map(ask, people))
    assert sorted(found, key=str) == sorted([only, *[None] * 15], key=str)


@pytest.mark.parametrize("rest", ["", "?show=undone&words="])
def test_the_page_keeps_the_image_and_the_one_it_leads_to(
    queue: Queue, browser: TestClient, sign_in: SignIn, rest: str
) -> None:
    first, second, third = queue.hang(2)
    ada, ben = queue.bench.people.ada, queue.bench.people.ben
    root = f"/projects/{queue.bench.project.slug}/images"
    sign_in(browser, ben)
    page = browser.get(f"{root}/{first}{rest}").text
    assert f'data-undone="{root}/{second}' in page
    assert queue.next_for(ada) == third
    sign_in(browser, ada)
    page = browser.get(f"{root}/{first}").text
    assert "<b>Ben</b> is at this image" in page


def test_a_sign_of_life_keeps_images_and_tells_how_far_one_is(
    queue: Queue, api: TestClient, token_for: TokenFor
) -> None:
    first, second = queue.hang(1)
    bench = queue.bench
    root = f"/api/v1/projects/{bench.project.slug}/queue"

    def hold(person: Person, *images: int) -> Any:
        answer = api.post(f"{root}/hold", json={"images": images}, headers=token_for(person))
        assert answer.status_code == 200
        return answer.json()

    assert hold(bench.people.ben, first)["held"] == [first]
    bench.propose(("bright", "positive"), ("dark", "positive"))
    bench.save("bright", "confirmed")
    bench.save("dark", "rejected")
    bench.undo()
    queue.finish(first, bench.people.ben)
    told = hold(bench.people.ben, first, second)
    assert (told["held"], told["images_today"], told["decisions_today"]) == ([first, second], 1, 1)
    assert (told["busy"], told["others"]) == (None, 1)
    theirs = hold(bench.people.ada, second, first)
    assert (theirs["held"], theirs["busy"], theirs["images_today"]) == ([], "Ben", 0)
    elsewhere = bench.make.image(bench.make.project("other")).id
    assert hold(bench.people.ada, elsewhere)["held"] == []

    ask = api.post(f"{root}/next", json={}, headers=token_for(bench.people.ada))
    assert ask.json() == {"image": None}
    days = api.get(f"{root}/days", headers=token_for(bench.people.lea)).json()["items"]
    assert [(each["person"], each["decisions"], each["images"]) for each in days] == [("Ben", 1, 1)]
