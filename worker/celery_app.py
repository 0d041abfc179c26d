"""The Celery application. Start it with

    celery -A worker.celery_app worker -P threads -c 3 -Q cpu,gpu

Threads, because a forked child cannot start CUDA and because training runs in its own process anyway.
"""

import logging
import threading
import warnings
from typing import Any

from celery import Celery, signals
from celery.platforms import SecurityWarning
from sqlalchemy.exc import SQLAlchemyError

from app.closing import close_what_we_write
from app.database import unit_of_work
from app.datasets import splits
from app.errors import AppError
from app.images import removing
from app.jobs import claiming
from app.jobs.queueing import broker_url, celery_settings
from app.stopping import StopFlag
from worker import ledger, webhooks

log = logging.getLogger("morelli.worker")
# One line when a job starts and one when it ends is ours; Celery would add two for each message.
for noisy in ("celery.worker.strategy", "celery.app.trace"):
    logging.getLogger(noisy).setLevel(logging.WARNING)
# Messages are JSON with an id, so the warning against running as root (in a container, say) is moot.
warnings.filterwarnings("ignore", category=SecurityWarning)
SWEEP_SECONDS = 15.0

app = Celery("morelli", broker=broker_url(), include=["worker.tasks"])
app.conf.update(celery_settings())
app.conf.update(
    worker_log_format="%(message)s",
    worker_soft_shutdown_timeout=120,
    worker_enable_soft_shutdown_on_idle=True,
)


def sweep_forever(stop: StopFlag) -> None:
    """Take back what killed workers held and expired leases, and ring again for overdue rows; at once
    and until told to stop.
    """
    while not stop.is_set():
        try:
            ledger.take_back_from_dead()
            with unit_of_work() as db:
                lost, overdue = claiming.sweep(db)
            removing.sweep_removals()
        except (SQLAlchemyError, AppError) as error:
            log.warning("sweeper: the database did not answer (%s)", type(error).__name__)
        else:
            if lost or overdue:
                log.info("sweeper: %s taken back, %s sent again", lost, overdue)
        stop.wait(SWEEP_SECONDS)


def read_splits_forever(stop: StopFlag) -> None:
    """Read which images datasets hold that nobody has read yet; apart from the sweeper, since of a million it takes a minute."""
    while not stop.is_set():
        try:
            splits.sweep_unread()
        except (SQLAlchemyError, AppError, OSError) as error:
            log.warning("splits: nothing was read (%s)", type(error).__name__)
        stop.wait(SWEEP_SECONDS)


@signals.worker_init.connect
def _close_what_we_write(**_: Any) -> None:
    close_what_we_write()


@signals.worker_ready.connect
def _start_sweeper(**_: Any) -> None:
    threading.Thread(
        target=sweep_forever, args=(ledger.shutting_down,), name="sweeper", daemon=True
    ).start()
    threading.Thread(
        target=read_splits_forever, args=(ledger.shutting_down,), name="splits", daemon=True
    ).start()
    webhooks.start(ledger.shutting_down)


@signals.worker_shutting_down.connect
def _give_jobs_back(**_: Any) -> None:
    ledger.shutting_down.set()
