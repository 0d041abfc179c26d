"""The handler of jobs of kind `tiles`. Safe to run again from the start, whatever killed it."""

import threading

from app.database import Json
from app.errors import Invalid, NotFound, Unavailable
from app.images.decoding import ImageRefused
from app.images.tiling import make_tiles, why_not
from worker.ledger import JobFailed, Work

# Pictures that need tiles are large: one at a time in the memory of a worker.
_at_work = threading.Lock()


def run(work: Work) -> Json:
    """Cut the image that the job's spec names; returns how many bytes its tiles take."""
    try:
        with _at_work:
            work.check()
            return {"bytes": make_tiles(work.transaction, int(work.spec["image_id"]))}
    except Unavailable as error:
        raise JobFailed("infrastructure", error.message, again=True) from error
    except (NotFound, Invalid, ImageRefused) as error:
        raise JobFailed("data", why_not(error)) from error
