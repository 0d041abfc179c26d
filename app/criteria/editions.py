"""Whether a project's criteria are of an older edition of those that come with the application."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.criteria.loading import refusal
from app.criteria.reading import working_criteria
from app.errors import Conflict, Invalid
from app.projects.models import Project
from taxonomy.editions import Both, edition_of, take_over
from taxonomy.shipped import NEWEST
from taxonomy.tree import Criteria, InvalidCriteria


@dataclass(frozen=True, slots=True)
class NewerEdition:
    """The working criteria are of edition `number`; `criteria` is what they become under the newest one, to be
    put in their place as a file is. `both` are the texts that the project and the edition both changed.
    """

    number: int
    newest: int
    criteria: Criteria
    both: tuple[Both, ...]


def find_newer_edition(
    db: Session, project: Project, theirs: Collection[str] = ()
) -> NewerEdition | None:
    """What taking the newest edition over would make of the working criteria; None where they are of none
    of the editions, or of the newest. `theirs` are the places of those texts of `both` that are to be the
    edition's. Raises Invalid where keys do not fit, or a place is none of those.
    """
    criteria = working_criteria(db, project)
    number = edition_of(criteria)
    if number is None:
        return None
    try:
        found = take_over(criteria, number, theirs)
    except InvalidCriteria as error:
        raise refusal(error.problems) from error
    except ValueError as error:
        raise Invalid(
            str(error), field="theirs", hint="Look at what taking the edition over would change."
        ) from error
    return NewerEdition(number, NEWEST, found.criteria, found.both)


def get_newer_edition(db: Session, project: Project, theirs: Collection[str] = ()) -> NewerEdition:
    """The same. Raises Conflict where there is none."""
    found = find_newer_edition(db, project, theirs)
    if found is None:
        raise Conflict("No newer edition of these criteria is there.")
    return found
