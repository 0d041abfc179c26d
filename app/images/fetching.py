"""The one way out: fetches a URL that a person asked for, and nothing inside this network.

A name is resolved once, every address is checked, and the connection goes to the checked address,
so neither a redirect nor a second answer of the name server leads elsewhere (OWASP, SSRF prevention).
"""

import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import httpx2

from app.settings import settings

REDIRECTS = 3
DEADLINE_SECONDS = 900
TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
# Addresses of IPv6 that carry one of IPv4, which is what has to be checked (RFC 6052).
NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


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


def fetch_to(url: str, target: Path, *, limit_bytes: int) -> str:
    """Write what a URL answers into a file; returns the address it came from at last. Raises NotFetched."""
    with target.open("wb") as out:
        return _fetch(url, out, limit_bytes)


def fetch(url: str, *, limit_bytes: int) -> bytes:
    """The bytes a URL answers. Raises NotFetched."""
    out = io.BytesIO()
    _fetch(url, out, limit_bytes)
    return out.getvalue()


def _fetch(url: str, out: BinaryIO, limit_bytes: int) -> str:
    asked = parse_url(url)
    deadline = time.monotonic() + DEADLINE_SECONDS
    for _ in range(REDIRECTS + 1):
        try:
            with _answer_of(asked) as answer:
                if answer.is_redirect:
                    asked = parse_url(str(asked.join(answer.headers.get("location", ""))))
                    continue
                _check(answer, limit_bytes)
                _copy(answer, out, limit_bytes, deadline)
                return str(asked)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise NotFetched(f"{asked.host} did not answer ({type(error).__name__}).") from error
    raise NotFetched(f"The address leads on more than {REDIRECTS} times.")


@contextmanager
def _answer_of(url: httpx2.URL) -> Iterator[httpx2.Response]:
    port = url.port or (443 if url.scheme == "https" else 80)
    address = resolve(url.host, port)
    host = url.netloc.decode("ascii")
    with (
        httpx2.Client(timeout=TIMEOUT, trust_env=False, verify=_trust()) as client,
        client.stream(
            "GET",
            url.copy_with(host=address, fragment=None),
            # The certificate is checked against the name, though the connection goes to the address.
            headers={"Host": host, "Accept-Encoding": "identity", "User-Agent": "morelli-import"},
            extensions={"sni_hostname": url.host},
            follow_redirects=False,
        ) as answer,
    ):
        yield answer


def _check(answer: httpx2.Response, limit_bytes: int) -> None:
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


def _copy(answer: httpx2.Response, out: BinaryIO, limit_bytes: int, deadline: float) -> None:
    received = 0
    for chunk in answer.iter_raw():
        received += len(chunk)
        if received > limit_bytes:
            raise _too_large(limit_bytes)
        if time.monotonic() > deadline:
            raise NotFetched("The server sends too slowly; the fetch was given up.")
        out.write(chunk)
