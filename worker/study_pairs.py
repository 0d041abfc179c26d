"""Lays a study's answers and images out as `worker.pairs study` takes them."""

from pathlib import Path

from app.database import unit_of_work
from app.images import storage
from app.studies.exporting import file_name, find_compared, iterate_judgements
from app.studies.models import Study

JUDGEMENTS = "judgements.jsonl"


def write_study(study_id: int, folder: Path) -> None:
    """Write judgements.jsonl and the images it names into a new folder. Raises NotFound or Invalid for an image whose
    file is gone or damaged.
    """
    folder.mkdir()
    with unit_of_work() as db:
        study = db.get_one(Study, study_id)
        with (folder / JUDGEMENTS).open("w", encoding="utf-8") as file:
            file.writelines(iterate_judgements(db, study))
        images = find_compared(db, study)
    for each in images:
        (folder / file_name(each)).write_bytes(storage.get_original(each.sha256))
