"""Whether a project's criteria are of an older edition of those that come with the application."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.criteria.loading import refusal
from app.criteria.reading import working_criteria
from app.errors import Conflict
from app.projects.models import Project
from taxonomy.editions import edition_of, taken_over
from taxonomy.shipped import NEWEST
from taxonomy.tree import Criteria, InvalidCriteria


@dataclass(frozen=True, slots=True)
class NewerEdition:
    """The working criteria are of edition `number`; `criteria` is what they become under the newest one, to be
    put in their place as a file is.
    """

    number: int
    newest: int
    criteria: Criteria


def find_newer_edition(db: Session, project: Project) -> NewerEdition | None:
    """What taking the newest edition over would make of the working criteria; None where they are of none
    of the editions, or of the newest. Raises Invalid where keys do not fit.
    """
    criteria = working_criteria(db, project)
    number = edition_of(criteria)
    if number is None:
        return None
    try:
        return NewerEdition(number, NEWEST, taken_over(criteria, number))
    except InvalidCriteria as error:
        raise refusal(error.problems) from error


def get_newer_edition(db: Session, project: Project) -> NewerEdition:
    """The same. Raises Conflict where there is none."""
    found = find_newer_edition(db, project)
    if found is None:
        raise Conflict("No newer edition of these criteria is there.")
    return found
