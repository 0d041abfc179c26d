"""Where the web processes of this machine listen: sockets that `morelli up` opens and hands on to them.

They all take connections from one queue. It stays when one of them dies, so who comes meanwhile is answered by
another one, or by the next. Each has a socket for itself besides, by which it is asked whether it lives.
"""

import os
import socket
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from app.errors import AppError
from app.settings import settings

# Tells a web process which of its open files these are.
VARIABLE = "MORELLI_WEB_SOCKETS"
Sockets = Sequence[socket.socket]


def open_public() -> list[socket.socket]:
    """Take the port, at every address that the host's name has; nobody can connect before a web process listens.

    Raises AppError where another program listens there.
    """
    with ExitStack() as opened:
        sockets = [opened.enter_context(each) for each in _bound(settings().host, settings().port)]
        opened.pop_all()
        return sockets


def _bound(host: str, port: int) -> Iterable[socket.socket]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise _unusable(error) from error
    for family, address in dict.fromkeys((each[0], each[4]) for each in found):
        each = socket.socket(family, socket.SOCK_STREAM)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # The other protocol has a socket of its own.
            each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            each.bind(address)
        except OSError as error:
            each.close()
            raise _unusable(error) from error
        yield each


def _unusable(error: OSError) -> AppError:
    return AppError(
        f"Port {settings().port} of {settings().host} cannot be used ({error.strerror}).",
        hint="Stop the other program, or set MORELLI_PORT to a free port.",
    )


def open_own() -> socket.socket:
    """A socket of one process, which only this machine reaches."""
    own = socket.socket()
    own.bind(("127.0.0.1", 0))
    return own


def health_address(own: socket.socket) -> str:
    """Where the process with this socket is asked whether it lives."""
    return f"http://127.0.0.1:{own.getsockname()[1]}/healthz"


def handing_on(sockets: Sockets) -> dict[str, str]:
    """What a process that inherits these sockets has to find in its environment."""
    return {VARIABLE: ",".join(str(each.fileno()) for each in sockets)} if sockets else {}


def handed_on() -> list[socket.socket] | None:
    """The sockets that this process was given, None where it was started by itself."""
    given = os.environ.get(VARIABLE)
    return [socket.socket(fileno=int(each)) for each in given.split(",")] if given else None
