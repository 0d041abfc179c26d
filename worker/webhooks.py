"""Sends what waits for other programs, beside the jobs: a few threads that take one address after another."""

import logging
import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from app.database import unit_of_work
from app.errors import AppError
from app.stopping import StopFlag
from app.webhooks.delivering import forget_old, record, take_due
from app.webhooks.sending import send

log = logging.getLogger("morelli.webhooks")
# What happens within this time at one address goes in one message.
SECONDS = 5.0
AT_ONCE = 3
FORGET_SECONDS = 3600.0


class _Stopped(Exception):
    """The worker is to stop; what was being sent is sent again later."""


def start(stop: StopFlag) -> None:
    """Start the threads. Those that wait for an answer hold up nobody who stops the worker."""
    for number in range(AT_ONCE):
        threading.Thread(
            target=send_forever, args=(stop,), name=f"webhooks-{number}", daemon=True
        ).start()


def send_forever(stop: StopFlag) -> None:
    """Send what is due until told to stop."""
    forgotten = 0.0
    while not stop.is_set():
        try:
            if time.monotonic() - forgotten > FORGET_SECONDS:
                forgotten = time.monotonic()
                with unit_of_work() as db:
                    forget_old(db)
            has_sent = send_next(stop)
        except (SQLAlchemyError, AppError) as error:
            log.warning("webhooks: the database did not answer (%s)", type(error).__name__)
            has_sent = False
        except _Stopped:
            return
        if not has_sent:
            stop.wait(SECONDS)


def send_next(stop: StopFlag) -> bool:
    """Send one message that is due; False where none is. Nothing is held in the database meanwhile."""

    def check() -> None:
        if stop.is_set():
            raise _Stopped

    with unit_of_work() as db:
        message = take_due(db)
    if message is None:
        return False
    outcome = send(
        message.address,
        message.body,
        secret=message.secret,
        message_id=message.message_id,
        check=check,
    )
    with unit_of_work() as db:
        record(db, message, outcome)
    return True
