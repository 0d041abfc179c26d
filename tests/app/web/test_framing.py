"""Where requests end and begin: an answer for each, 400 for what is not one, and never a hang; on a real server."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from app.web import patience
from app.web.patience import Patient

HOST = b"Host: here\r\n"
GET = b"GET /get HTTP/1.1\r\n" + HOST
POST = b"POST /post HTTP/1.1\r\n" + HOST
LENGTH = b"Content-Length: 5\r\n"
OFFERS = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    b"Connection: keep-alive, upgrade\r\nUpgrade: TLS/1.3\r\n",
)
seen_gone = threading.Event()


async def says(scope: Scope, receive: Receive, send: Send) -> None:
    """Says method, path and body; `/stays` answers without an end, until its reader has gone."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    said = b" ".join((scope["method"].encode(), scope["raw_path"], body))
    stays = scope["path"] == "/stays"
    headers = [] if stays else [(b"content-length", str(len(said)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": said, "more_body": stays})
    if stays:
        gone = asyncio.ensure_future(receive())
        while not gone.done():
            await send({"type": "http.response.body", "body": b".", "more_body": True})
            await asyncio.sleep(0.02)
        seen_gone.set()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patience, "LINGER_SECONDS", 0.05)
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(says, http=Patient, log_level="error", lifespan="off")
        )
        running = threading.Thread(target=server.run, args=([listening],), daemon=True)
        running.start()
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()[1]
        server.should_exit = True
        running.join(10)
        listening.close()


def heard(port: int, *said: bytes) -> bytes:
    """What comes back until the other side is gone, or for as long as the last answer has not come."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as to:
        for each in said:
            to.sendall(each)
            time.sleep(0.05)
        to.sendall(b"GET /last HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        back = b""
        with suppress(ConnectionResetError):
            while piece := to.recv(65536):
                back += piece
    return back


def bodies(back: bytes) -> list[bytes]:
    """The bodies of answers that lie one behind the other."""
    found = []
    while back:
        head, _, rest = back.partition(b"\r\n\r\n")
        if b" 100 " not in head:
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            found.append(rest[:length] if b" 200 " in head else head[9:12])
            rest = rest[length:]
        back = rest
    return found


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    ("said", "body", "answer"),
    [
        (GET, b"", b"GET /get "),
        (POST + LENGTH, b"hello", b"POST /post hello"),
        (POST + b"Content-Length: 0\r\n", b"", b"POST /post "),
        (POST + b"Transfer-Encoding: chunked\r\n", b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", b"POST /post hello"),
        (POST + b"Expect: 100-continue\r\n" + LENGTH, b"hello", b"POST /post hello"),
        # A body that looks like a request is none.
        (POST + b"Content-Length: 24\r\n", b"GET /smuggled HTTP/1.1\r\n", b"POST /post GET /smuggled HTTP/1.1\r\n"),
    ],
)  # fmt: skip
def test_an_offer_to_upgrade_is_passed_over_and_nothing_is_lost(
    port: int, offer: bytes, apart: bool, said: bytes, body: bytes, answer: bytes
) -> None:
    head = said + offer + b"\r\n"
    parts = (head, body) if apart else (head + body,)
    assert bodies(heard(port, *parts)) == [answer, b"GET /last "]


@pytest.mark.parametrize(
    "head",
    [
        GET + b"Host: there\r\n",
        GET + HOST,
        POST + b"Transfer-Encoding: gzip, chunked\r\n",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n",
        POST + LENGTH + b"Transfer-Encoding: chunked\r\n",
        POST + LENGTH + LENGTH,
        POST + b"Content-Length: 5, 5\r\n",
        POST + b"Content-Length: +5\r\n",
        POST + b"Content-Length : 5\r\n",
        POST + b"Transfer-Encoding:\r\n chunked\r\n",
        GET + b"X: a\n",
        GET + b"X: a\rY: b\r\n",
        GET + b"X: a\r\n b\r\n",
        GET + b"X: a\0b\r\n",
        b"GET /get HTTP/3.7\r\n" + HOST,
        b"PRI * HTTP/2.0\r\n",
        b"CONNECT there:443 HTTP/1.1\r\n" + HOST,
    ],
)
def test_what_is_framed_in_two_ways_or_none_is_refused(port: int, head: bytes) -> None:
    assert bodies(heard(port, head + b"\r\n0\r\n\r\n")) == [b"400"]


@pytest.mark.parametrize("bad", [b"rubbish\r\n\r\n", GET + HOST + b"\r\n", b"X" * 300_000])
@pytest.mark.parametrize("number", [1, 3])
def test_what_came_before_something_unreadable_is_answered_first(
    port: int, number: int, bad: bytes
) -> None:
    back = heard(port, (GET + b"\r\n") * number + bad)
    assert bodies(back) == [b"GET /get "] * number + [b"400"]


def test_an_unreadable_body_behind_another_request_is_never_handed_on(port: int) -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"
    assert bodies(heard(port, GET + b"\r\n" + chunked)) == [b"GET /get ", b"400"]


def test_who_asked_more_and_left_is_not_answered_for_ever(port: int) -> None:
    seen_gone.clear()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as to:
        to.sendall(b"GET /stays HTTP/1.1\r\n" + HOST + b"\r\n")
        back = b""
        while b"GET /stays" not in back:
            back += to.recv(65536)
        to.sendall(GET + b"\r\n")
        time.sleep(0.05)
    assert seen_gone.wait(5)
