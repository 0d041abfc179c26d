"""Imports beside the other jobs: slow servers hold nobody's thread but their own."""

import http.server
import threading
from collections.abc import Iterator

import pytest
from pydantic import TypeAdapter
from pydantic.networks import IPvAnyNetwork
from sqlalchemy.orm import Session

from app.images.importing import start_import
from app.images.sources import url_source
from app.jobs.models import Job
from app.jobs.queueing import request_cancel
from app.settings import settings
from tests.factories import Make
from worker import apart, importing, ledger

HANDLERS: dict[str, ledger.Handler] = {"import": importing.run}


class Dripping(http.server.BaseHTTPRequestHandler):
    """A server that begins every answer and never ends one."""

    asked = threading.Event()
    over = threading.Event()

    def log_message(self, *args: object) -> None: ...

    def do_GET(self) -> None:
        Dripping.asked.set()
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not Dripping.over.wait(0.05):
            try:
                self.wfile.write(
                    b"X-Slow: 1\r\n" if "header" in self.path else b"HTTP/1.1 103 -\r\n\r\n"
                )
                self.wfile.flush()
            except OSError:
                return


@pytest.fixture
def slow(own_storage: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    networks = TypeAdapter(list[IPvAnyNetwork]).validate_python(["127.0.0.0/8"])
    monkeypatch.setattr(settings(), "allow_private_fetch", networks)
    Dripping.asked.clear()
    Dripping.over.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    Dripping.over.set()
    server.shutdown()
    server.server_close()


def threads_apart() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("apart-")]


@pytest.mark.parametrize("path", ["header.csv", "early.csv"])
def test_a_slow_address_holds_a_thread_of_its_own_and_can_be_cancelled(
    db: Session, make: Make, slow: str, path: str
) -> None:
    project = make.project()
    _, job = start_import(db, project, url_source(f"{slow}/{path}"), by=None)
    db.commit()
    assert apart.take(job.id, HANDLERS)
    assert Dripping.asked.wait(20)
    db.expire_all()
    request_cancel(db, project, job.id)
    db.commit()
    for each in threads_apart():
        each.join(30)
    assert not threads_apart()
    db.expire_all()
    assert db.get_one(Job, job.id).state == "cancelled"


def test_other_jobs_stay_where_they_are(db: Session, make: Make) -> None:
    job = Job(project_id=make.project().id, kind="dataset", spec={})
    db.add(job)
    db.commit()
    assert not apart.take(job.id, {})
