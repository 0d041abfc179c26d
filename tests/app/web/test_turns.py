"""However many ask at once, everyone is answered in turn."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from app import database
from app.accounts.access import cookie_name
from app.accounts.models import ApiToken, Person, SignIn
from app.accounts.signing_in import sign_in as start_sign_in
from app.criteria.models import Criteria
from app.errors import TooBusy
from app.settings import settings
from app.web.turns import InTurn, Turns
from tests.app.web.asking import Heard, ask, started
from tests.factories import Make
from tests.people import Cast, cast

LONG_AGO = timedelta(minutes=10)


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


def cookie_of(db: Session, person: Person) -> str:
    token = start_sign_in(db, person, browser="test", address="127.0.0.1")
    db.execute(update(SignIn).values(seen_at=datetime.now(UTC) - LONG_AGO))
    db.commit()
    return f"{cookie_name()}={token}"


def test_hundreds_at_once_are_all_answered_and_the_process_says_that_it_lives(
    people: Cast, db: Session, make: Make
) -> None:
    from app.main import app

    one = cookie_of(db, people.lea)
    many = [cookie_of(db, make.member(people.project, "annotator")) for _ in range(20)]
    root = f"/projects/{people.project.slug}"
    paths = [root, f"{root}/images", f"/api/v1{root}/images", "/account", f"/api/v1{root}/overview"]

    async def crowd(cookies: list[str]) -> tuple[list[Heard], Heard]:
        async with started(app):
            asked = [
                ask(app, paths[each % len(paths)], cookies[each % len(cookies)])
                for each in range(300)
            ]
            everyone = asyncio.gather(*asked)
            await asyncio.sleep(0)
            alive = await ask(app, "/healthz", "")
            assert not everyone.done()
            return await everyone, alive

    for cookies in ([one], many):
        heard, alive = asyncio.run(crowd(cookies))
        assert alive.status == 200
        assert {each.status for each in heard} == {200}
    seen = db.scalars(select(SignIn.seen_at)).all()
    assert min(seen) > datetime.now(UTC) - LONG_AGO


def test_a_use_is_noted_beside_the_request_and_waits_for_nobody(
    people: Cast,
    db: Session,
    browser: TestClient,
    api: TestClient,
    sign_in: Callable[[TestClient, Person], TestClient],
    token_for: Callable[[Person], dict[str, str]],
) -> None:
    sign_in(browser, people.ada)
    header = token_for(people.ada)
    db.execute(update(SignIn).values(seen_at=datetime.now(UTC) - LONG_AGO))
    db.commit()
    with database.engine().connect() as other, other.begin():
        other.execute(select(SignIn.id).with_for_update())
        other.execute(select(ApiToken.id).with_for_update())
        assert browser.get("/account").status_code == 200
        assert api.get("/api/v1/me", headers=header).status_code == 200
    assert db.scalars(select(ApiToken.used_at)).one() is None
    assert browser.get("/account").status_code == 200
    assert api.get("/api/v1/me", headers=header).status_code == 200
    db.rollback()
    assert db.scalars(select(SignIn.seen_at)).one() > datetime.now(UTC) - LONG_AGO
    assert db.scalars(select(ApiToken.used_at)).one() is not None


def test_who_waits_too_long_for_a_row_is_told_so_and_may_try_again(
    people: Cast,
    api: TestClient,
    token_for: Callable[[Person], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    header = token_for(people.ada)
    monkeypatch.setenv("MORELLI_REQUEST_LOCK_SECONDS", "0.2")
    settings.cache_clear()
    with database.serving_requests(), database.engine().connect() as other, other.begin():
        other.execute(select(Criteria.project_id).with_for_update())
        answer = api.post(
            f"/api/v1/projects/{people.project.slug}/criteria/nodes",
            json={
                "kind": "dimension",
                "parent": None,
                "name": "Light",
                "definition": "How it falls.",
            },
            headers=header,
        )
    settings.cache_clear()
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert "Somebody else is changing the same thing" in answer.json()["detail"]


class Gate:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.inside = self.most = 0
        self.order: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.order.append(scope["path"])
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.open.wait()
        self.inside -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def test_first_come_first_served_and_never_more_than_places() -> None:
    async def go() -> Gate:
        gate = Gate()
        app = InTurn(gate, turns=Turns(2, 100))
        asked = [asyncio.ensure_future(ask(app, f"/{each}", "")) for each in range(20)]
        await asyncio.sleep(0.05)
        assert gate.order == ["/0", "/1"]
        gate.open.set()
        assert {each.status for each in await asyncio.gather(*asked)} == {200}
        return gate

    gate = asyncio.run(go())
    assert gate.order == [f"/{each}" for each in range(20)]
    assert gate.most == 2


def test_who_asks_for_much_waits_for_himself_and_not_the_others() -> None:
    async def go() -> Gate:
        gate = Gate()
        app = InTurn(gate, turns=Turns(1, 100))
        asked = [asyncio.ensure_future(ask(app, f"/{each}", "one=1")) for each in range(20)]
        await asyncio.sleep(0.02)
        for who in ("two=2", "three=3"):
            asked += [asyncio.ensure_future(ask(app, f"/{who[:3]}{each}", who)) for each in (1, 2)]
        await asyncio.sleep(0.02)
        gate.open.set()
        assert {each.status for each in await asyncio.gather(*asked)} == {200}
        return gate

    order = asyncio.run(go()).order
    others = [path for path in order if not path[1:].isdecimal()]
    assert others == ["/two1", "/thr1", "/two2", "/thr2"]
    assert order.index("/thr2") <= 7, (
        "each of the others' requests waited for one or two of the many"
    )
    assert [path for path in order if path[1:].isdecimal()] == [f"/{each}" for each in range(20)]


def test_who_asks_for_much_is_not_put_off_for_ever_by_others() -> None:
    async def go() -> int:
        turns = Turns(1, 1000)
        await turns.enter("somebody")
        many = [asyncio.ensure_future(turns.enter("many")) for _ in range(5)]
        await asyncio.sleep(0)
        others = []
        for served in range(100):
            others += [asyncio.ensure_future(turns.enter(f"{served} {each}")) for each in "ab"]
            await asyncio.sleep(0.001)
            turns.leave()
            await asyncio.sleep(0.001)
            if all(each.done() for each in many):
                return served
        return 100

    assert asyncio.run(go()) < 100


def test_who_goes_away_while_waiting_is_let_go() -> None:
    async def go() -> list[str]:
        gate = Gate()
        app = InTurn(gate, turns=Turns(1, 100))
        first = asyncio.ensure_future(ask(app, "/first", ""))
        await asyncio.sleep(0.01)

        async def gone() -> Message:
            return {"type": "http.disconnect"}

        async def never(message: Message) -> None:
            raise AssertionError(message)

        await app({"type": "http", "path": "/left", "headers": []}, gone, never)
        broken = asyncio.ensure_future(ask(app, "/broken", ""))
        await asyncio.sleep(0.01)
        broken.cancel()
        last = asyncio.ensure_future(ask(app, "/last", ""))
        await asyncio.sleep(0.01)
        gate.open.set()
        await asyncio.gather(first, last)
        return gate.order

    assert asyncio.run(go()) == ["/first", "/last"]


def test_a_place_is_free_again_as_soon_as_an_answer_begins() -> None:
    async def go() -> int:
        reading = asyncio.Event()

        async def slowly(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            if scope["path"] == "/events":
                await reading.wait()
            await send({"type": "http.response.body", "body": b""})

        app = InTurn(slowly, turns=Turns(1, 100))
        listening = asyncio.ensure_future(ask(app, "/events", ""))
        await asyncio.sleep(0.01)
        answered = await ask(app, "/page", "")
        reading.set()
        await listening
        return answered.status

    assert asyncio.run(go()) == 200


def test_a_queue_has_an_end() -> None:
    async def go() -> None:
        turns = Turns(1, 2)
        await turns.enter()
        waiting = [asyncio.ensure_future(turns.enter()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(TooBusy):
            await turns.enter()
        for _ in range(3):
            turns.leave()
        await asyncio.gather(*waiting)
        assert turns.enter_at_once()

    asyncio.run(go())


def test_a_web_server_holds_more_connections_than_it_lets_requests_in(servers: None) -> None:
    with database.serving_requests():
        assert database.limits().connections > settings().requests_at_once
        with database.engine().connect() as connection:
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "5s"
    with database.engine().connect() as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "1min"
