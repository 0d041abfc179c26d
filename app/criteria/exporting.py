"""The criteria as a file."""

from sqlalchemy.orm import Session

from app.criteria.reading import get_version, version_criteria, working_criteria
from app.projects.models import Project
from taxonomy.formats.files import FORMATS, FormatName


def export_file(
    db: Session, project: Project, *, format: FormatName, number: int | None = None
) -> tuple[str, bytes]:
    """The name and the bytes of a file with the working criteria, or with version `number`.

    Raises NotFound where there is no such version.
    """
    if number is None:
        criteria, which = working_criteria(db, project), "working"
    else:
        criteria, which = version_criteria(get_version(db, project, number)), f"v{number}"
    chosen = FORMATS[format]
    return f"{project.slug}-criteria-{which}{chosen.endings[0]}", chosen.write(criteria)
