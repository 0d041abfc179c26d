"""A receiver on this machine, and the sender as a worker runs it."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic.networks import IPvAnyNetwork
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.database import unit_of_work
from app.settings import settings
from app.stopping import StopFlag
from app.webhooks.models import Webhook, WebhookMessage
from tests.factories import Make
from tests.people import Cast, cast
from worker import webhooks


@dataclass
class Receiver:
    """A program that is told things; it answers with the next of `statuses`, then with 204."""

    address: str = ""
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def events(self) -> list[dict[str, Any]]:
        return [each for _, body in self.got for each in json.loads(body)["data"]["events"]]


@pytest.fixture
def allow_here(servers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = TypeAdapter(list[IPvAnyNetwork]).validate_python(["127.0.0.0/8", "::1/128"])
    monkeypatch.setattr(settings(), "allow_private_fetch", allowed)


@pytest.fixture
def receiver(allow_here: None) -> Iterator[Receiver]:
    there = Receiver()

    class Site(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            there.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            status = there.statuses.pop(0) if there.statuses else 204
            said = b"thanks" if status < 300 else b"no, \0<b>not</b> now"
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0" if status == 204 else str(len(said)))
            self.end_headers()
            if status != 204:
                self.wfile.write(said)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    there.address = f"http://127.0.0.1:{server.server_address[1]}/hook?for=labels"
    yield there
    server.shutdown()
    server.server_close()


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


@pytest.fixture
def send_all() -> Callable[[], int]:
    """Sends all that is due, as a worker's thread does; how many messages that were."""

    def do() -> int:
        sent = 0
        while webhooks.send_next(StopFlag()):
            sent += 1
        return sent

    return do


@pytest.fixture
def time_passes(db: Session) -> Callable[[], None]:
    """Everything that waits for its time is due."""

    def do() -> None:
        db.rollback()
        with unit_of_work() as other:
            for table in (Webhook, WebhookMessage):
                other.execute(update(table).values(not_before=table.created_at))
        db.expire_all()

    return do
