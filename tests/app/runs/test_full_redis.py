"""A Redis that is full or takes no writes: the rows are the truth, and nobody is told of an error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.accounts.passwords import hash_password
from app.database import unit_of_work
from app.doctor import examine
from app.jobs.claiming import OVERDUE, sweep
from app.jobs.models import Job
from app.runs import watching
from app.settings import settings
from tests.app.runs.conftest import Launch, MakeDataset
from tests.factories import Make
from tests.people import Cast, cast

ROOT = "/projects/paintings"
QUEUE = "morelli:gpu"


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


@pytest.fixture
def server(servers: None) -> Iterator["redis.Redis"]:
    """The tests' own Redis, as it was before, whatever a test did to it."""
    url = settings().redis_url
    assert url is not None
    with redis.Redis.from_url(url.get_secret_value(), decode_responses=True) as client:
        before: Any = client.config_get("maxmemory*")
        client.config_set("maxmemory-policy", "noeviction")
        try:
            yield client
        finally:
            for name in ("maxmemory", "maxmemory-policy"):
                client.config_set(name, before[name])
            client.replicaof("NO", "ONE")


@contextmanager
def full(server: "redis.Redis") -> Iterator[None]:
    server.config_set("maxmemory", "1")
    with pytest.raises(redis.RedisError, match="maxmemory"):
        server.set("more", "than fits")
    yield
    server.config_set("maxmemory", "0")


@contextmanager
def read_only(server: "redis.Redis") -> Iterator[None]:
    # What a server answers that a failover has made a replica.
    server.replicaof("127.0.0.1", "1")
    with pytest.raises(redis.exceptions.ReadOnlyError):
        server.set("more", "than is taken")
    yield
    server.replicaof("NO", "ONE")


@pytest.mark.parametrize(("trouble", "word"), [(full, "full"), (read_only, "not writable")])
def test_people_and_jobs_go_on_while_redis_takes_nothing(
    trouble: Callable[["redis.Redis"], Any],
    word: str,
    server: "redis.Redis",
    db: Session,
    people: Cast,
    browser: TestClient,
    api: TestClient,
    sign_in: Callable[[TestClient, Person], TestClient],
    token_for: Callable[[Person], dict[str, str]],
    make_dataset: MakeDataset,
    launch: Launch,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A stream that ends soon: what it says is looked at, not how long it stays.
    monkeypatch.setattr(watching, "STREAM_SECONDS", 0.3)
    monkeypatch.setattr(watching, "HEARTBEAT_SECONDS", 0.1)
    people.lea.password_hash = hash_password("a quiet harbour in March")
    db.commit()
    dataset, lea = make_dataset(people.project), token_for(people.lea)
    body = {"kind": "sft", "name": "In need", "dataset_id": dataset.id, "base_model": model}
    with trouble(server):
        entered = browser.post(
            "/sign-in", data={"email": people.lea.email, "password": "a quiet harbour in March"}
        )
        assert entered.status_code == 303, entered.text
        made = api.post(f"/api/v1{ROOT}/runs", json=body | {"preset": "tiny"}, headers=lea)
        assert made.status_code == 202, made.text
        run, job_id = made.json()["id"], made.json()["job_id"]
        for path in ("", "/runs", f"/runs/{run}", "/jobs", f"/jobs/{job_id}", "/images"):
            assert browser.get(ROOT + path).status_code == 200, path
        stream = browser.get(f"{ROOT}/runs/{run}/events")
        assert stream.status_code == 200
        assert "event: " in stream.text
        watching.publish(run)
        ready = browser.get("/readyz").json()
        assert (ready["status"], ready["redis"]) == ("degraded", word)
        found = next(each for each in examine() if each.what == "Redis")
        assert (found.verdict, word in found.found) == ("bad", True)
        # The sweeper rings in vain and lives.
        assert rung_again(db, job_id) == 1
        assert not waiting(server, job_id)
    db.expire_all()
    assert db.get_one(Job, job_id).state == "queued"
    assert rung_again(db, job_id) == 1
    assert waiting(server, job_id)


def rung_again(db: Session, job_id: int) -> int:
    """For how many overdue rows the sweeper rings, when this one has waited for long."""
    db.expire_all()
    db.get_one(Job, job_id).sent_at = datetime.now(UTC) - 2 * OVERDUE - timedelta(seconds=1)
    db.commit()
    assert db.scalars(select(Job.id).where(Job.state == "queued")).all() == [job_id]
    db.commit()
    with unit_of_work() as other:
        return sweep(other)[1]


def waiting(server: "redis.Redis", job_id: int) -> bool:
    """Whether a message for this job lies in the queue."""
    messages: Any = server.lrange(QUEUE, 0, -1)
    return any(f"[{job_id}]" in each for each in messages)
