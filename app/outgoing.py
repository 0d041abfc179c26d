"""The one way out: talks to an address that a person gave, and to nothing inside this network.

A name is resolved once, every address is checked, and the connection goes to the checked address,
so neither a redirect nor a second answer of the name server leads elsewhere (OWASP, SSRF prevention).

All exchanges run in one event loop of this module, so that one deadline can end each of them whatever
the server does, and whoever waits can stop waiting at any time.
"""

import asyncio
import ipaddress
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import httpx2

from app.settings import settings

# From asking to the end of the headers: name, connection, TLS, and whatever is sent in between.
HEADER_SECONDS = 30.0
IDLE_SECONDS = 30.0
EXCHANGES_AT_ONCE = 64
LOOK_SECONDS = 0.2
# Addresses of IPv6 that carry one of IPv4, which is what has to be checked (RFC 6052).
NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")


class NotFetched(Exception):
    """A URL that was not fetched; the message says why and never holds what the server sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotReachable(NotFetched):
    """A URL that leads into a network which nothing is asked of."""


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
        raise NotFetched("Only http:// and https:// addresses can be used.")
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


@dataclass(frozen=True)
class Inside:
    """Networks that are not public and that may be asked all the same, and the setting that lists them."""

    networks: Sequence[Network]
    setting: str


def for_people() -> Inside:
    """What addresses that a person gave may lead to."""
    return Inside(settings().allow_private_fetch, "MORELLI_ALLOW_PRIVATE_FETCH")


def is_allowed(address: Address, networks: Sequence[Network]) -> bool:
    """Whether an address may be asked: public, or in one of the networks that the operator lists."""
    inner = _carried(address)
    if any(each in network for each in (address, inner) for network in networks):
        return True
    return inner.is_global and not (inner.is_multicast or inner.is_reserved)


def resolve(host: str, port: int, inside: Inside) -> str:
    """The address to connect to. Raises NotFetched where the name has none, or one of them is neither public nor
    in the networks `inside`.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotFetched(f"The name {host[:100]} was not found.") from error
    addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in answers]
    if not addresses or not all(is_allowed(each, inside.networks) for each in addresses):
        raise NotReachable(
            f"{host[:100]} is an address inside a private network, which nothing is asked of. "
            f"The operator can allow it with {inside.setting}."
        )
    return str(addresses[0])


@lru_cache
def _trust() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


def wait_for(work: Coroutine[None, None, T], check: Callable[[], None]) -> T:
    """The result of an exchange; `check` is called meanwhile and may raise to stop it."""
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
    threading.Thread(target=loop.run_forever, name="outgoing", daemon=True).start()
    return loop


@lru_cache
def at_once() -> asyncio.Semaphore:
    """Room for exchanges under way."""
    return asyncio.Semaphore(EXCHANGES_AT_ONCE)


def what_happened(error: Exception) -> str:
    """Why an exchange broke off, in words."""
    if isinstance(error, httpx2.ConnectError):
        is_certificate = "CERTIFICATE" in str(error)
        return "its certificate is not trusted" if is_certificate else "it cannot be reached"
    if isinstance(error, httpx2.TimeoutException):
        return "nothing came any more"
    if isinstance(error, httpx2.NetworkError | httpx2.ProtocolError):
        return "it broke off in the middle, or is no web server"
    return f"what it sent cannot be read ({type(error).__name__})"


async def resolve_apart(host: str, port: int, inside: Inside) -> str:
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
            found: str | NotFetched = resolve(host, port, inside)
        except NotFetched as error:
            found = error
        loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=ask, name="name", daemon=True).start()
    return await answer


@asynccontextmanager
async def answer_of(
    url: httpx2.URL,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> AsyncIterator[httpx2.Response]:
    """The answer with its headers, which have to be there in time however they come.

    Raises NotFetched, and what httpx raises where the exchange breaks off.
    """
    port = url.port or (443 if url.scheme == "https" else 80)
    host = url.netloc.decode("ascii")
    timeout = httpx2.Timeout(IDLE_SECONDS, connect=HEADER_SECONDS)
    async with httpx2.AsyncClient(timeout=timeout, trust_env=False, verify=_trust()) as client:
        try:
            async with asyncio.timeout(HEADER_SECONDS):
                address = await resolve_apart(url.host, port, for_people())
                answer = await client.send(
                    client.build_request(
                        method,
                        url.copy_with(host=address, fragment=None),
                        # The certificate is checked against the name, though the connection goes to
                        # the address.
                        headers={
                            "User-Agent": "morelli",
                            **(headers or {}),
                            "Host": host,
                            "Accept-Encoding": "identity",
                        },
                        content=content,
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
