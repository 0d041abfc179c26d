"""The handler of jobs of kind `bulk`. Safe to run again from the start, whatever killed it."""

from app.bulk.looking import look
from app.bulk.taking import take
from app.bulk.undoing import undo
from app.database import Json
from app.errors import AppError
from worker.ledger import JobFailed, Work

STEPS = {"look": look, "take": take, "undo": undo}


def run(work: Work) -> Json:
    """Look at what a bulk action would do, do it, or take it back; returns the counts."""

    def report(done: int, total: int | None) -> None:
        work.report(done=done, total=total, message="images")
        work.check()

    step = STEPS[work.spec["step"]]
    try:
        return step(int(work.spec["bulk_action_id"]), transaction=work.transaction, report=report)
    except AppError as error:
        if error.status >= 500:
            raise
        raise JobFailed("data", f"{error.message} {error.hint or ''}".strip()) from error
