"""Two versions of a project's criteria side by side."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from sqlalchemy.orm import Session

from app.criteria.reading import get_version, version_criteria, working_criteria
from app.database import LARGEST_KEY
from app.projects.models import Project
from taxonomy.comparing import ComparedNode, Comparison, compare

Which: TypeAlias = Annotated[int, Field(ge=1, le=LARGEST_KEY)] | Literal["working"]


def compare_versions(db: Session, project: Project, old: int, new: Which) -> Comparison:
    """What leads from version `old` to version `new`, or to the working criteria.

    Raises NotFound where there is no such version.
    """
    before = version_criteria(get_version(db, project, old))
    if new == "working":
        return compare(before, working_criteria(db, project))
    return compare(before, version_criteria(get_version(db, project, new)))


def nodes_after(compared: Comparison, key: str) -> tuple[ComparedNode, ...]:
    """The nodes that differ after the one with this key; all where no such node differs."""
    keys = [each.key for each in compared.nodes]
    return compared.nodes[keys.index(key) + 1 if key in keys and key else 0 :]
