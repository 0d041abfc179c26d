"""Connections that stand still are closed, and those that are slow are not; against a real server."""

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

BIG = 32 * 1024 * 1024
HEAD = b"GET / HTTP/1.1\r\nHost: here\r\n"


async def answers(scope: Scope, receive: Receive, send: Send) -> None:
    """`/` at once, `/big` with much, `/late` after a while, `/refused` without a look at the body.

    `/read` reads its body and says how long it was.
    """
    if scope["path"] == "/late":
        await asyncio.sleep(1.2)
    body = bytes(BIG) if scope["path"] == "/big" else b"well"
    headers = []
    if scope["path"] == "/refused":
        headers.append((b"connection", b"close"))
    if scope["path"] == "/read":
        body = str(await length_of_body(receive)).encode()
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def length_of_body(receive: Receive) -> int:
    length = 0
    while True:
        message = await receive()
        length += len(message.get("body", b""))
        if not message.get("more_body"):
            return length


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(patience, "READ_SECONDS", 0.5)
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.05)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(answers, http=Patient, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    running = threading.Thread(target=server.run, args=([listening],))
    running.start()
    while not server.started:
        time.sleep(0.01)
    yield listening.getsockname()[1]
    server.should_exit = True
    running.join()
    listening.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def hears(to: socket.socket, ending: bytes) -> bool:
    """Whether an answer ends so, which may come in pieces."""
    heard = b""
    while not heard.endswith(ending):
        piece = to.recv(4096)
        if not piece:
            return False
        heard += piece
    return True


def seconds_until_closed(to: socket.socket, drop: bytes) -> float:
    """Send a drop again and again until the other side is gone."""
    began = time.monotonic()
    to.settimeout(0.1)
    while time.monotonic() - began < 5:
        try:
            if drop:
                to.sendall(drop)
            if to.recv(4096) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("said", "drop"), [(b"", b""), (HEAD, b"x"), (b"G", b""), (HEAD + b"\r\n" + HEAD, b"x")]
)
def test_who_drips_or_forgets_a_head_is_let_go(port: int, said: bytes, drop: bytes) -> None:
    with connect(port) as to:
        to.sendall(said)
        assert 0.4 < seconds_until_closed(to, drop) < 3


def test_who_never_reads_is_let_go(port: int) -> None:
    with connect(port) as to:
        to.sendall(b"GET /big HTTP/1.1\r\nHost: here\r\n\r\n")
        began = time.monotonic()
        while time.monotonic() - began < 5:
            try:
                to.sendall(b"\r\n")
            except OSError:
                break
            time.sleep(0.05)
        assert 0.4 < time.monotonic() - began < 3


def test_who_reads_slowly_gets_everything(port: int) -> None:
    with connect(port) as to:
        to.sendall(b"GET /big HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        began, taken = time.monotonic(), 0
        while piece := to.recv(1024 * 1024):
            taken += len(piece)
            time.sleep(0.05)
        assert taken > BIG
        assert time.monotonic() - began > 1


def test_an_answer_may_take_its_time_and_the_next_question_comes_later(port: int) -> None:
    with connect(port) as to:
        for _ in range(2):
            to.sendall(b"GET /late HTTP/1.1\r\nHost: here\r\n\r\n")
            heard = b""
            while not heard.endswith(b"well"):
                piece = to.recv(4096)
                assert piece, "closed while it was waited for"
                heard += piece
            time.sleep(0.8)


def test_one_connection_too_many_is_closed_and_the_others_go_on(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "most_connections", lambda: 1)
    with connect(port) as first, connect(port) as second:
        assert seconds_until_closed(second, b"") < 0.4
        first.sendall(HEAD + b"\r\n")
        assert b"200" in first.recv(4096)


def hear(to: socket.socket) -> bytes:
    """All that comes until the other side is gone."""
    heard = b""
    with suppress(ConnectionResetError):
        while piece := to.recv(65536):
            heard += piece
    return heard


def test_who_is_refused_while_sending_hears_it(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LINGER_SECONDS", 0.5)
    with connect(port) as to:
        to.sendall(b"POST /refused HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000000\r\n\r\n")
        began, sent = time.monotonic(), 0
        with suppress(ConnectionError):
            while time.monotonic() - began < 5:
                to.sendall(bytes(65536))
                sent += 65536
        assert 0.4 < time.monotonic() - began < 3
        assert sent < 100_000_000, "nobody reads a whole body to be polite"
    with connect(port) as to:
        # One who looks only after having sent everything.
        to.sendall(b"POST /refused HTTP/1.1\r\nHost: here\r\nContent-Length: 2000000\r\n\r\n")
        to.sendall(bytes(1_000_000))
        assert b"200 OK" in hear(to)


@pytest.mark.parametrize(
    ("said", "endless"),
    [
        (HEAD, b"X-More: " + b"x" * 1000 + b"\r\n"),
        (HEAD + b"X-Long: ", b"x" * 1000),
        (b"GET /", b"x" * 1000),
        (
            b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"A: " + b"x" * 997 + b"\r\n",
        ),
        (b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ", b"x" * 1000),
        (b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"x" * 1000),
    ],
    ids=["headers", "a header", "an address", "trailers", "a trailer", "a chunk's extension"],
)
def test_what_stands_beside_a_body_has_an_end(port: int, said: bytes, endless: bytes) -> None:
    with connect(port) as to:
        to.sendall(said)
        sent = 0
        with suppress(OSError):
            while sent < 5_000_000:
                to.sendall(endless)
                sent += len(endless)
                time.sleep(0.0005)
        assert sent < 5_000_000


def test_a_body_in_tiny_chunks_comes_in_whole(port: int) -> None:
    with connect(port) as to:
        to.sendall(HEAD.replace(b"GET /", b"POST /read") + b"Transfer-Encoding: chunked\r\n\r\n")
        to.sendall(b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n")
        assert hears(to, b"100000")


def test_many_who_come_in_one_moment_are_all_answered(port: int) -> None:
    many = [connect(port) for _ in range(5 * patience.BEGIN_AT_ONCE)]
    for each in many:
        each.sendall(HEAD + b"\r\n")
    for each in many:
        assert hears(each, b"well")
        each.close()
