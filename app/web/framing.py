"""Where a request ends and the next begins: nothing is guessed, so that no proxy sees other requests than we do.

httptools reads a request; three things are left to its user. It stops at an offer to upgrade (h2c, which
some clients make with every first request), and what follows, body included, would be lost or taken for
the next request. It lets pass what RFC 9112 has refused. And a request that cannot be read may stand behind
others that are still being answered.
"""

from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

FRAMING = (b"content-length", b"transfer-encoding")


class _UpgradesNever:
    """httptools' parser that reads on where an upgrade is offered: the offer may be passed over."""

    def __init__(self, connection: "Framed") -> None:
        self._connection = connection
        self._parser = httptools.HttpRequestParser(connection)
        # As beneath: the answer to the first of several requests may say that it is the last.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def feed_data(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as offered:
                data = data[offered.args[0] :]
                # A parser that stopped at the head of a message is given a head of the same framing.
                self._parser.feed_data(self._connection.take_head_of_body())
            else:
                return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)


class Framed(HttpToolsProtocol):
    """A connection that reads requests as they are framed, and refuses in turn what it cannot read."""

    _answering: RequestResponseCycle | None = None
    # Of a request that offered an upgrade: its framing again, for what follows its head.
    _head_of_body = b""
    _reads_head_again = False
    _unreadable: str | None = None

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.parser = cast(httptools.HttpRequestParser, _UpgradesNever(self))

    def take_head_of_body(self) -> bytes:
        """A head for the body that is still to come, or nothing where the request had none."""
        head, self._head_of_body = self._head_of_body, b""
        self._reads_head_again = bool(head)
        return head

    def data_received(self, data: bytes) -> None:
        if self._unreadable is None:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        # Beneath only the request that came last is told; what is answered may be one before it.
        self.pipeline.clear()
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        if not self._reads_head_again:
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._reads_head_again:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._reads_head_again:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._reads_head_again:
            self._reads_head_again = False
            return
        if fault := _fault_of(self.headers, self.parser.get_http_version()):
            # Whatever a callback raises, the request is refused with 400.
            raise ValueError(fault)
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self._head_of_body = _head_of(self.headers)

    def on_message_complete(self) -> None:
        # A parser that stops at an offer calls the message complete before its body has come.
        if not self._head_of_body:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read: after the answers to what came before it, and never inside of one."""
        answering = self._answering
        if self.pipeline and self.pipeline[0][0].more_body:
            # The newest is the one that cannot be read, and it has not begun.
            self.pipeline.popleft()
        if answering is None or answering.response_complete:
            super().send_400_response(msg)
        elif answering.more_body and not answering.response_started:
            # It is the body of this one that cannot be read.
            answering.disconnected = True
            answering.message_event.set()
            super().send_400_response(msg)
        elif answering.more_body:
            self.transport.abort()
        else:
            self._unreadable = msg

    def on_response_complete(self) -> None:
        super().on_response_complete()
        assert self._answering is not None
        if self._unreadable is not None and self._answering.response_complete:
            super().send_400_response(self._unreadable)


def _head_of(headers: list[tuple[bytes, bytes]]) -> bytes:
    framing = [name + b": " + value + b"\r\n" for name, value in headers if name in FRAMING]
    return b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n" if framing else b""


def _fault_of(headers: list[tuple[bytes, bytes]], version: str) -> str | None:
    """What RFC 9112 has a server refuse and the parser lets pass."""
    if sum(name == b"host" for name, _ in headers) > 1:
        return "more than one Host"
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    if codings and (codings != [b"chunked"] or version == "1.0"):
        return "a Transfer-Encoding that is not read here"
    return None
