"""The one way out, against a real server of this machine and addresses that must not be reached."""

import gc
import http.server
import ipaddress
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic.networks import IPvAnyNetwork
from sqlalchemy.orm import Session

from app import outgoing
from app.images import fetching
from app.images.fetching import fetch
from app.images.finding import find_problems
from app.images.sources import url_source
from app.outgoing import NotFetched, is_allowed, parse_url, shown_url
from app.projects.models import Project
from app.settings import settings
from tests.app.images import corpus
from tests.app.images.conftest import Importing
from tests.app.images.test_import_images import counts, images_of


class Site(http.server.BaseHTTPRequestHandler):
    """A small site with good and bad answers."""

    seen: list[str] = []

    def log_message(self, *args: object) -> None: ...

    def do_GET(self) -> None:
        self.seen.append(f"{self.headers['Host']}{self.path}")
        here = f"http://{self.headers['Host']}"
        path = self.path.partition("?")[0]
        if path.startswith("/hop/"):
            left = int(path.removeprefix("/hop/"))
            self._send(302, b"", Location=f"{here}/hop/{left - 1}" if left else f"{here}/a.png")
        elif path == "/inside":
            self._send(302, b"", Location="http://169.254.169.254/latest/meta-data")
        elif path == "/file":
            self._send(302, b"", Location="file:///etc/passwd")
        elif path == "/gone":
            self._send(404, b"TOPSECRET body")
        elif path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(65536))
            except OSError:
                pass
        elif path == "/packed":
            self._send(200, b"x", **{"Content-Encoding": "gzip"})
        else:
            body = {
                "/a.png": corpus.png(1),
                "/b.png": corpus.png(2),
                "/all": corpus.archive({"c.png": corpus.png(3)}),
                "/page.png": corpus.HTML,
                "/list.csv": (
                    f"url,prompt\n{here}/a.png?key=TOPSECRET,one\n{here}/b.png,two\n"
                    f"{here}/gone,three\n{here}/page.png,four\nhttp://10.0.0.1/x.png,five\n"
                ).encode(),
            }[path]
            self._send(200, body)

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    _allow(monkeypatch, "127.0.0.0/8", "::1/128")
    Site.seen.clear()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def _allow(monkeypatch: pytest.MonkeyPatch, *networks: str) -> None:
    allowed = TypeAdapter(list[IPvAnyNetwork]).validate_python(list(networks))
    monkeypatch.setattr(settings(), "allow_private_fetch", allowed)


def refusal(url: str, limit: int = 1_000_000) -> str:
    with pytest.raises(NotFetched) as refused:
        fetch(url, limit_bytes=limit)
    assert "TOPSECRET" not in refused.value.reason
    return refused.value.reason


def test_fetches_by_name(site: str) -> None:
    assert fetch(f"{site}/a.png", limit_bytes=1_000_000) == corpus.png(1)
    assert Site.seen == [f"{site.removeprefix('http://')}/a.png"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1",
        "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::",
    ],
)  # fmt: skip
def test_addresses_inside_are_not_public(servers: None, address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address), ())


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are(servers: None, address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address), ())


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0"]
)
def test_no_spelling_of_this_machine_is_fetched(
    site: str, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    _allow(monkeypatch)
    port = site.rpartition(":")[2]
    refusal(f"http://{host}:{port}/a.png")
    assert Site.seen == []


def test_a_name_with_one_private_address_is_refused(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers(*args: object, **options: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", ("8.8.8.8", 80)), (0, 0, 0, "", ("10.0.0.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", answers)
    assert "private network" in refusal("http://both.example/a.png")


def test_the_name_is_asked_once_for_each_request(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = outgoing.resolve

    def resolve(host: str, port: int, inside: outgoing.Inside) -> str:
        asked.append(host)
        return real(host, port, inside)

    def no_more(host: str, *args: object, **options: object) -> object:
        if host != "127.0.0.1":
            asked.append(f"again {host}")
        return original(host, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(outgoing, "resolve", resolve)
    original = socket.getaddrinfo
    fetch(f"{site}/a.png", limit_bytes=1_000_000)
    assert asked == ["localhost"]


def test_redirects_are_followed_three_times_and_checked(site: str) -> None:
    assert fetch(f"{site}/hop/2", limit_bytes=1_000_000) == corpus.png(1)
    assert "more than 3 times" in refusal(f"{site}/hop/9")
    assert "private network" in refusal(f"{site}/inside")
    assert "Only http" in refusal(f"{site}/file")


def test_limits_and_errors_without_bodies(site: str) -> None:
    assert "status 404" in refusal(f"{site}/gone")
    assert "larger than" in refusal(f"{site}/endless", limit=3_000_000)
    assert "larger than" in refusal(f"{site}/a.png", limit=10)
    assert "compressed" in refusal(f"{site}/packed")
    assert "did not answer" in refusal("http://127.0.0.1:1/a.png")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x.org/a",
        "file:///etc/passwd",
        "x.org/a",
        "http://",
        "http://u:p@x.org/",
        "http://[::",
        "",
    ],
)
def test_what_is_no_web_address(url: str) -> None:
    with pytest.raises(NotFetched):
        parse_url(url)


def test_a_shown_url_keeps_no_secret() -> None:
    assert shown_url("https://u:p@x.org:8443/a.png?sig=1#f") == "https://x.org:8443/a.png"


def test_imports_what_a_csv_names_by_address(
    db: Session, project: Project, site: str, do_import: Importing
) -> None:
    row = do_import(url_source(f"{site}/list.csv"))
    assert (row.source, counts(row)) == ("csv", (2, 0, 3))
    images = images_of(db, project)
    assert images["a.png"].prompt == "one" and images["a.png"].details["url"] == f"{site}/a.png"
    said = {each.name: each.reason for each in find_problems(db, row.id)}
    assert "status 404" in said["gone"] and "HTML" in said["page.png"]
    assert "private" in said["x.png"]


@pytest.mark.parametrize(("path", "added"), [("/all", 1), ("/a.png", 1)])
def test_imports_an_archive_or_image_by_address(
    db: Session, project: Project, site: str, do_import: Importing, path: str, added: int
) -> None:
    assert counts(do_import(url_source(site + path))) == (added, 0, 0)


class Busy(http.server.BaseHTTPRequestHandler):
    """A server that is busy at first, or in need of patience for ever."""

    asked: list[str] = []

    def log_message(self, *args: object) -> None: ...

    def do_GET(self) -> None:
        Busy.asked.append(self.path)
        _, status, after, times = self.path.split("/")
        is_busy = Busy.asked.count(self.path) <= int(times)
        body = b"" if is_busy else b"here"
        self.send_response(int(status) if is_busy else 200)
        if is_busy and after != "none":
            self.send_header("Retry-After", after.replace("_", " "))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    _allow(monkeypatch, "127.0.0.0/8")
    Busy.asked.clear()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "path",
    ["/429/0/2", "/503/none/1", "/429/1/1", "/503/Sun,_29_Nov_2020_06:00:00_GMT/1", "/502/x/1"],
)
def test_a_busy_server_is_asked_again(servers: None, busy: str, path: str) -> None:
    assert fetch(busy + path, limit_bytes=100) == b"here"
    assert len(Busy.asked) == int(path[-1]) + 1


def test_patience_has_an_end(servers: None, busy: str) -> None:
    assert "4 times" in refusal(f"{busy}/503/0/99")
    assert len(Busy.asked) == 4
    assert "come back in 60 minutes" in refusal(f"{busy}/429/3600/99")
    assert len(Busy.asked) == 5


class Slow(http.server.BaseHTTPRequestHandler):
    """Never ends: in its headers, in what comes before them, or in its body."""

    def log_message(self, *args: object) -> None: ...

    def do_GET(self) -> None:
        begin, drop = {
            "/headers": (b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
            "/early": (b"", b"HTTP/1.1 103 Early\r\n\r\n"),
            "/body": (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
            "/silent": (b"", b""),
        }[self.path]
        try:
            self.wfile.write(begin)
            for _ in range(600):
                self.wfile.write(drop)
                self.wfile.flush()
                time.sleep(0.01)
        except OSError:
            return


@pytest.mark.parametrize("path", ["/headers", "/early", "/body", "/silent"])
def test_one_deadline_ends_whatever_a_server_does(
    servers: None, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    _allow(monkeypatch, "127.0.0.0/8")
    monkeypatch.setattr(outgoing, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(fetching, "DEADLINE_SECONDS", 0.6)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        said = refusal(f"http://127.0.0.1:{server.server_address[1]}{path}")
        server.shutdown()
    assert "given up" in said if path == "/body" else "did not answer within" in said


@contextmanager
def speaking(monkeypatch: pytest.MonkeyPatch, *pieces: bytes, stays: bool = False) -> Iterator[str]:
    """A server that says exactly this to whoever connects, whatever is asked; its host and port."""
    _allow(monkeypatch, "127.0.0.0/8")
    listening = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def go() -> None:
        with suppress(OSError):
            while True:
                to, _ = listening.accept()
                held.append(to)
                for piece in pieces:
                    to.recv(65536)
                    to.sendall(piece)
                if not stays:
                    to.close()

    answering = threading.Thread(target=go, daemon=True)
    answering.start()
    yield f"127.0.0.1:{listening.getsockname()[1]}"
    # Whoever is being taken in at this moment is closed, too: `accept` returns, then nothing comes to `held`.
    listening.shutdown(socket.SHUT_RDWR)
    for each in held:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
    answering.join(10)
    for each in [listening, *held]:
        each.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_who_accepts_and_says_nothing_is_given_up(
    servers: None, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """Over https it is the handshake that never comes."""
    monkeypatch.setattr(outgoing, "HEADER_SECONDS", 0.3)
    with speaking(monkeypatch, stays=True) as host:
        assert "did not answer within 0.3 seconds" in refusal(f"{scheme}://{host}/a.png")
    # What asyncio leaves of a handshake that is given up is closed when it is collected; it says so here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "broke off in the middle"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is no web server"),
        (b"", "broke off in the middle"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Length: 8\r\n\r\n", "no web server"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "no web server"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, "no web server"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[::\r\n\r\n", "no web address"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:99999/\r\n\r\n", "up to 65535"),
        (b"HTTP/1.1 302 Found\r\nLocation: gopher://x/\r\n\r\n", "Only http"),
        (b"HTTP/1.1 302 Found\r\n\r\n", "more than 3 times"),
        (b"HTTP/1.1 999 Odd\r\n\r\n", "status 999"),
        (b"HTTP/1.1 429 Wait\r\nRetry-After: 100000\r\n\r\n", "come back in 28 hours"),
    ],
)
def test_odd_answers_have_one_sentence(
    servers: None, monkeypatch: pytest.MonkeyPatch, said: bytes, reason: str
) -> None:
    with speaking(monkeypatch, said) as host:
        found = refusal(f"http://{host}/a.png")
    assert reason in found
    assert found.endswith(".")


def test_a_pause_in_odd_digits_is_no_pause(servers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = "HTTP/1.1 429 Wait\r\nRetry-After: \u00b2\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    monkeypatch.setattr(fetching, "TRIES", 1)
    with speaking(monkeypatch, odd) as host:
        assert "status 429, 1 times" in refusal(f"http://{host}/a.png")


@pytest.mark.parametrize("declared", [True, False])
def test_the_limit_is_the_last_byte_that_is_taken(
    servers: None, monkeypatch: pytest.MonkeyPatch, declared: bool
) -> None:
    for size, is_taken in ((1000, True), (1001, False)):
        length = f"Content-Length: {size}\r\n" if declared else ""
        body = f"HTTP/1.1 200 OK\r\n{length}\r\n".encode() + b"x" * size
        with speaking(monkeypatch, body) as host:
            if is_taken:
                assert fetch(f"http://{host}/", limit_bytes=1000) == b"x" * 1000
            else:
                assert "larger than" in refusal(f"http://{host}/", limit=1000)


def test_less_declared_than_sent_is_what_was_declared(
    servers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with speaking(monkeypatch, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1234") as host:
        assert fetch(f"http://{host}/", limit_bytes=100) == b"12"


class Stopped(Exception):
    """Somebody cancelled."""


def test_a_name_server_that_hangs_holds_up_nobody(
    servers: None, busy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many lookups that never end: cancelling works, the deadline does, and others are fetched."""
    monkeypatch.setattr(outgoing, "HEADER_SECONDS", 1.0)
    hanging, real = threading.Event(), socket.getaddrinfo

    def look_up(host: str, *args: Any, **options: Any) -> object:
        if str(host).endswith(".example"):
            hanging.wait()
        return real(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    def cancel() -> None:
        raise Stopped

    began = time.monotonic()
    with pytest.raises(Stopped):
        fetch("http://one.example/", limit_bytes=10, check=cancel)
    assert time.monotonic() - began < 0.9
    many = [
        threading.Thread(target=refusal, args=(f"http://{each}.example/",)) for each in range(80)
    ]
    for each in many:
        each.start()
    assert "did not answer within 1 seconds" in refusal("http://two.example/")
    for each in many:
        each.join()
    assert fetch(f"{busy}/503/none/0", limit_bytes=100) == b"here"
    hanging.set()
