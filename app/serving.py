"""The web server's process: `python -m app.serving`, which `morelli up` starts and watches."""

import resource
import socket
import sys
from contextlib import suppress

import uvicorn

from app.closing import close_what_we_write
from app.listening import handed_on
from app.settings import settings
from app.web.patience import Patient

# Connections that have come and are not looked at yet wait in the system; it allows 4096 at most.
LISTEN_QUEUE = 4096
# Longer than proxies keep a connection, so that none sends a request into one that is just closing.
KEEP_ALIVE_SECONDS = 75
OPEN_FILES = 65_536
# Five hundred connections taken in one go would hold up whoever asks whether the process lives, and leave other
# processes nothing of what comes at once.
TAKEN_AT_ONCE = 2
START_FAILED = 3


def allow_many_files() -> None:
    """Each connection is an open file, and many systems begin with 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # The event loop takes no more connections at once than the queue was said to hold.
        for each in sockets or ():
            each.listen(LISTEN_QUEUE)


def main() -> None:
    """Serve until told to stop."""
    close_what_we_write()
    allow_many_files()
    sockets = handed_on()
    config = uvicorn.Config(
        "app.main:app",
        host=settings().host,
        port=settings().port,
        backlog=LISTEN_QUEUE if sockets is None else TAKEN_AT_ONCE,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=3,
        access_log=False,
        server_header=False,
        log_level="warning",
        ws="none",
        http=Patient,
    )
    server = _Server(config)
    with suppress(KeyboardInterrupt):
        server.run(sockets)
    if not server.started:
        sys.exit(START_FAILED)


if __name__ == "__main__":
    main()
