"""The handler of jobs of kind `label_import`. Safe to run again from the start, whatever killed it."""

from app.database import Json
from app.errors import AppError
from app.label_imports.importing import look_at, take_from
from worker.ledger import JobFailed, Work


def run(work: Work) -> Json:
    """Look at a file of labels, or store what it says; returns the counts."""
    import_id = int(work.spec["label_import_id"])

    def report(rows: int) -> None:
        work.report(done=rows, total=None, message="labels read")
        work.check()

    try:
        if work.spec["step"] == "look":
            found = look_at(import_id, None, transaction=work.transaction, report=report)
            return {name: value for name, value in found.items() if isinstance(value, int)}
        return take_from(
            import_id, None, transaction=work.transaction, report=report, check=work.check
        )
    except AppError as error:
        if error.status >= 500:
            raise
        raise JobFailed("data", f"{error.message} {error.hint or ''}".strip()) from error
