"""The one way out: fetches a URL that a person asked for, and nothing inside this network.

A name is resolved once, every address is checked, and the connection goes to the checked address,
so neither a redirect nor a second answer of the name server leads elsewhere (OWASP, SSRF prevention).

All exchanges run in one event loop of this module, so that one deadline can end each of them whatever
the server does, and whoever waits can stop waiting at any time.
"""

import asyncio
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, TypeVar

import httpx2

from app.settings import settings

REDIRECTS = 3
# One exchange: redirects, pauses that the server asks for, and the body. A file may be large.
DEADLINE_SECONDS = 120.0
FILE_DEADLINE_SECONDS = 900.0
# From asking to the end of the headers: name, connection, TLS, and whatever is sent in between.
HEADER_SECONDS = 30.0
# A body that comes slower than this, after a start, is held back on purpose or never ends.
SLOWEST_BYTES_PER_SECOND = 1024
SLOW_START_SECONDS = 20.0
IDLE_SECONDS = 30.0
# What a server is asked again for, how often, and the longest pause it may ask for.
ASK_AGAIN = frozenset({429, 502, 503, 504})
TRIES = 4
LONGEST_PAUSE_SECONDS = 30.0
EXCHANGES_AT_ONCE = 64
LOOK_SECONDS = 0.2
# Addresses of IPv6 that carry one of IPv4, which is what has to be checked (RFC 6052).
NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
T = TypeVar("T")


class NotFetched(Exception):
    """A URL that was not fetched; the message says why and never holds what the server sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def shown_url(url: str) -> str:
    """A URL as pages may show it: without query, fragment and credentials, which can be secrets."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return "an address that cannot be read"
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.scheme}://{parsed.host}{port}{parsed.path}"[:500]


def parse_url(url: str) -> httpx2.URL:
    """A URL that may be asked for. Raises NotFetched."""
    try:
        parsed = httpx2.URL(url.strip())
    except httpx2.InvalidURL as error:
        raise NotFetched("This is not a web address.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise NotFetched("Only http:// and https:// addresses can be fetched.")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise NotFetched("The port in this web address is none: ports are numbers up to 65535.")
    if parsed.userinfo:
        raise NotFetched("The address holds a user name or password; give one without.")
    return parsed


def _carried(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def is_allowed(address: Address) -> bool:
    """Whether an address may be fetched from: public, or listed by the operator."""
    inner = _carried(address)
    if any(
        each in network for each in (address, inner) for network in settings().allow_private_fetch
    ):
        return True
    return inner.is_global and not (inner.is_multicast or inner.is_reserved)


def resolve(host: str, port: int) -> str:
    """The address to connect to. Raises NotFetched where the name has none, or one of them is not public."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotFetched(f"The name {host[:100]} was not found.") from error
    addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in answers]
    if not addresses or not all(is_allowed(each) for each in addresses):
        raise NotFetched(
            f"{host[:100]} is an address inside a private network, which is not fetched from. "
            "The operator can allow it with MORELLI_ALLOW_PRIVATE_FETCH."
        )
    return str(addresses[0])


@lru_cache
def _trust() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


def _go_on() -> None:
    """Nobody wishes to stop."""


def fetch_to(
    url: str, target: Path, *, limit_bytes: int, check: Callable[[], None] = _go_on
) -> str:
    """Write what a URL answers into a file; returns the address it came from at last. Raises NotFetched.

    `check` is called while waiting and may raise to stop the fetch.
    """
    with target.open("wb") as out:
        exchange = _Exchange(out, limit_bytes, FILE_DEADLINE_SECONDS)
        return _wait_for(exchange.run(url), check)


def fetch(url: str, *, limit_bytes: int, check: Callable[[], None] = _go_on) -> bytes:
    """The bytes a URL answers. Raises NotFetched; `check` as in `fetch_to`."""
    out = io.BytesIO()
    _wait_for(_Exchange(out, limit_bytes, DEADLINE_SECONDS).run(url), check)
    return out.getvalue()


def _wait_for(work: Coroutine[None, None, T], check: Callable[[], None]) -> T:
    waiting: Future[T] = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        while True:
            try:
                return waiting.result(LOOK_SECONDS)
            except NotYet:
                if waiting.done():
                    return waiting.result()
                check()
    finally:
        waiting.cancel()


@lru_cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="fetching", daemon=True).start()
    return loop


@lru_cache
def _at_once() -> asyncio.Semaphore:
    return asyncio.Semaphore(EXCHANGES_AT_ONCE)


class _AskAgain(Exception):
    """The server asked to come back after so many seconds."""

    def __init__(self, seconds: float, status: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.status = status


@dataclass
class _Exchange:
    """One fetch from the first question to the last byte, in `seconds` at most."""

    out: BinaryIO
    limit_bytes: int
    seconds: float

    async def run(self, url: str) -> str:
        asked = parse_url(url)
        async with _at_once():
            try:
                async with asyncio.timeout(self.seconds):
                    return await self._with_patience(asked)
            except TimeoutError as error:
                raise NotFetched(
                    f"{asked.host[:100]} took longer than {self.seconds:g} seconds; the fetch was given up."
                ) from error

    async def _with_patience(self, asked: httpx2.URL) -> str:
        for turn in range(1, TRIES + 1):
            try:
                return await self._through_redirects(asked)
            except _AskAgain as again:
                if turn == TRIES:
                    raise NotFetched(
                        f"The server answered with status {again.status}, {TRIES} times."
                    ) from again
                await asyncio.sleep(max(again.seconds, 0.5 * 2 ** (turn - 1)))
        raise AssertionError("the last turn returns or raises")

    async def _through_redirects(self, asked: httpx2.URL) -> str:
        for _ in range(REDIRECTS + 1):
            try:
                async with _answer_of(asked) as answer:
                    if not answer.is_redirect:
                        _check(answer, self.limit_bytes)
                        await self._copy(answer)
                        return str(asked)
                    leads_to = answer.headers.get("location", "")
            except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
                raise NotFetched(
                    f"{asked.host[:100]} did not answer: {_what_happened(error)}."
                ) from error
            asked = _joined(asked, leads_to)
        raise NotFetched(f"The address leads on more than {REDIRECTS} times.")

    async def _copy(self, answer: httpx2.Response) -> None:
        received, began = 0, time.monotonic()
        async for chunk in answer.aiter_raw():
            received += len(chunk)
            if received > self.limit_bytes:
                raise _too_large(self.limit_bytes)
            passed = time.monotonic() - began
            if passed > SLOW_START_SECONDS and received < passed * SLOWEST_BYTES_PER_SECOND:
                raise NotFetched("The server sends too slowly; the fetch was given up.")
            self.out.write(chunk)


def _joined(asked: httpx2.URL, leads_to: str) -> httpx2.URL:
    try:
        return parse_url(str(asked.join(leads_to)))
    except (httpx2.InvalidURL, ValueError) as error:
        raise NotFetched("The address leads on to something that is no web address.") from error


def _what_happened(error: Exception) -> str:
    if isinstance(error, httpx2.ConnectError):
        is_certificate = "CERTIFICATE" in str(error)
        return "its certificate is not trusted" if is_certificate else "it cannot be reached"
    if isinstance(error, httpx2.TimeoutException):
        return "nothing came any more"
    if isinstance(error, httpx2.NetworkError | httpx2.ProtocolError):
        return "it broke off in the middle, or is no web server"
    return f"what it sent cannot be read ({type(error).__name__})"


async def _resolve(host: str, port: int) -> str:
    """`resolve` in a thread of its own, which nobody waits for: a name server that hangs holds up
    neither other names nor a worker that stops.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def tell(found: str | NotFetched) -> None:
        if answer.done():
            return
        if isinstance(found, NotFetched):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def ask() -> None:
        try:
            found: str | NotFetched = resolve(host, port)
        except NotFetched as error:
            found = error
        loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=ask, name="name", daemon=True).start()
    return await answer


@asynccontextmanager
async def _answer_of(url: httpx2.URL) -> AsyncIterator[httpx2.Response]:
    """The answer with its headers, which have to be there in time however they come."""
    port = url.port or (443 if url.scheme == "https" else 80)
    host = url.netloc.decode("ascii")
    timeout = httpx2.Timeout(IDLE_SECONDS, connect=HEADER_SECONDS)
    async with httpx2.AsyncClient(timeout=timeout, trust_env=False, verify=_trust()) as client:
        try:
            async with asyncio.timeout(HEADER_SECONDS):
                address = await _resolve(url.host, port)
                answer = await client.send(
                    client.build_request(
                        "GET",
                        url.copy_with(host=address, fragment=None),
                        # The certificate is checked against the name, though the connection goes to
                        # the address.
                        headers={
                            "Host": host,
                            "Accept-Encoding": "identity",
                            "User-Agent": "morelli-import",
                        },
                        extensions={"sni_hostname": url.host},
                    ),
                    stream=True,
                    follow_redirects=False,
                )
        except TimeoutError as error:
            raise NotFetched(
                f"{url.host[:100]} did not answer within {HEADER_SECONDS:g} seconds."
            ) from error
        try:
            yield answer
        finally:
            await answer.aclose()


def _pause_of(answer: httpx2.Response) -> float:
    """How long the server asks to wait, in seconds, as far as we do."""
    said = answer.headers.get("retry-after", "").strip()
    if said.isdecimal():
        seconds = float(said[:9])
    else:
        try:
            when = parsedate_to_datetime(said)
        except ValueError:
            return 0.0
        zone = when.tzinfo or UTC
        seconds = (when.replace(tzinfo=zone) - datetime.now(UTC)).total_seconds()
    if seconds > LONGEST_PAUSE_SECONDS:
        raise NotFetched(
            f"The server answered with status {answer.status_code} and asks to come back in "
            f"{_in_words(seconds)}."
        )
    return max(0.0, seconds)


def _in_words(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"


def _check(answer: httpx2.Response, limit_bytes: int) -> None:
    if answer.status_code in ASK_AGAIN:
        raise _AskAgain(_pause_of(answer), answer.status_code)
    if answer.status_code != 200:
        raise NotFetched(f"The server answered with status {answer.status_code}.")
    # A compressed body could unfold to any size; we asked for none.
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise NotFetched("The server sent a compressed body, which was not asked for.")
    declared = answer.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)


def _too_large(limit_bytes: int) -> NotFetched:
    return NotFetched(f"The answer is larger than {limit_bytes // (1024 * 1024)} MiB.")
