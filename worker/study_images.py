"""The handler of jobs of kind `study_images`. Safe to run again from the start, whatever killed it."""

from app.database import Json
from app.errors import AppError
from app.studies.collecting import collect
from worker.ledger import JobFailed, Work


def run(work: Work) -> Json:
    """Take the images of a study in; returns how many came and which could not be used."""
    try:
        return collect(
            work.spec, transaction=work.transaction, report=work.report, check=work.check
        )
    except AppError as error:
        if error.status >= 500:
            raise
        raise JobFailed("data", f"{error.message} {error.hint or ''}".strip()) from error
