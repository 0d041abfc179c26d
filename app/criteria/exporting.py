"""The criteria as the text of a file."""

from typing import Literal

from sqlalchemy.orm import Session

from app.criteria.reading import get_version, version_criteria, working_criteria
from app.projects.models import Project
from taxonomy.formats.json import write_json
from taxonomy.formats.yaml import write_yaml

Format = Literal["yaml", "json"]


def export_text(
    db: Session, project: Project, *, format: Format, number: int | None = None
) -> tuple[str, str]:
    """The name and the text of a file with the working criteria, or with version `number`.

    Raises NotFound where there is no such version.
    """
    if number is None:
        criteria, which = working_criteria(db, project), "working"
    else:
        criteria, which = version_criteria(get_version(db, project, number)), f"v{number}"
    text = write_yaml(criteria) if format == "yaml" else write_json(criteria)
    return f"{project.slug}-criteria-{which}.{format}", text
