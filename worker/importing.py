"""The handler of jobs of kind `import`. Safe to run again from the start, whatever killed it."""

from app.database import Json
from app.errors import Unavailable
from app.images.importing import run_import
from worker.ledger import JobFailed, Work


def run(work: Work) -> Json:
    """Import what the job's spec names; returns how many images were added, known or refused."""
    try:
        return run_import(
            int(work.spec["import_id"]),
            work.spec["source"],
            transaction=work.transaction,
            report=work.report,
            check=work.check,
        )
    except Unavailable as error:
        raise JobFailed("infrastructure", error.message, again=True) from error
