"""The web server's process: `python -m app.serving`, which `morelli up` starts and watches."""

import resource
from contextlib import suppress

import uvicorn

from app.closing import close_what_we_write
from app.settings import settings
from app.web.patience import Patient

# Connections that have come and are not looked at yet wait in the system; it allows 4096 at most.
LISTEN_QUEUE = 4096
# Longer than proxies keep a connection, so that none sends a request into one that is just closing.
KEEP_ALIVE_SECONDS = 75
OPEN_FILES = 65_536


def allow_many_files() -> None:
    """Each connection is an open file, and many systems begin with 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    """Serve until told to stop."""
    close_what_we_write()
    allow_many_files()
    uvicorn.run(
        "app.main:app",
        host=settings().host,
        port=settings().port,
        backlog=LISTEN_QUEUE,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=3,
        access_log=False,
        server_header=False,
        log_level="warning",
        ws="none",
        http=Patient,
    )


if __name__ == "__main__":
    main()
