"""Keeping filters of images, finding them again, and letting them go."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.errors import Conflict, Invalid, NotAllowed, NotFound
from app.filters.models import LONGEST_NAME, SavedFilter
from app.images.asked import Asked, read_asked
from app.images.narrowing import prepare
from app.projects.models import Project
from method.saved_texts import one_line

MOST = 100
"""Filters that one person keeps in one project."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept filter and the name of whose it is."""

    filter: SavedFilter
    owner: str


def keep_filter(
    db: Session, project: Project, *, name: str, query: str, is_shared: bool, by: Person
) -> SavedFilter:
    """Keep what the wall's address asks under a name; the same name again is kept anew.

    Raises Invalid with the field for a query that asks nothing or what no wall knows, NotFound for one that names
    what is not in the project, Conflict beyond `MOST`.
    """
    name = one_line(name)
    if not 1 <= len(name) <= LONGEST_NAME:
        raise Invalid(f"Please give a name of up to {LONGEST_NAME} characters.", field="name")
    asked = _asking(query)
    prepare(db, project, asked.narrowing)
    mine = (SavedFilter.project_id == project.id, SavedFilter.person_id == by.id)
    # Locked, so that two who keep one at once do not go beyond the number together.
    db.execute(select(Person.id).where(Person.id == by.id).with_for_update())
    kept = db.scalar(select(SavedFilter).where(*mine, SavedFilter.name == name))
    if kept is None:
        number = db.scalar(select(func.count(SavedFilter.id)).where(*mine)) or 0
        if number >= MOST:
            raise Conflict(
                f"You keep {MOST} filters in this project already.", hint="Let one of them go."
            )
        kept = SavedFilter(project_id=project.id, person_id=by.id, name=name)
        db.add(kept)
    kept.query, kept.is_shared = asked.query, is_shared
    db.flush()
    return kept


def _asking(query: str) -> Asked:
    """What a query asks. Raises Invalid where that is nothing."""
    asked = read_asked(query)
    if not asked:
        raise Invalid("This filter finds all images: there is nothing to keep.", field="query")
    return asked


def find_filters(db: Session, project: Project, person: Person) -> Sequence[Kept]:
    """One's own filters, then those that others share, each by name."""
    rows = db.execute(
        select(SavedFilter, Person.name)
        .join(Person, Person.id == SavedFilter.person_id)
        .where(
            SavedFilter.project_id == project.id,
            or_(SavedFilter.person_id == person.id, SavedFilter.is_shared),
        )
        .order_by(SavedFilter.person_id != person.id, SavedFilter.name, SavedFilter.id)
        .limit(2 * MOST)
    )
    return [Kept(row[0], row[1]) for row in rows]


def get_filter(db: Session, project: Project, filter_id: int, person: Person) -> SavedFilter:
    """A filter of one's own, or one that is shared. Raises NotFound."""
    kept = db.scalar(
        select(SavedFilter).where(
            SavedFilter.id == filter_id,
            SavedFilter.project_id == project.id,
            or_(SavedFilter.person_id == person.id, SavedFilter.is_shared),
        )
    )
    if kept is None:
        raise NotFound("There is no such filter, or it is not shared any more.")
    return kept


def drop_filter(db: Session, project: Project, filter_id: int, *, by: Person) -> None:
    """Let a filter of one's own go. Raises NotFound, and NotAllowed for somebody else's."""
    kept = get_filter(db, project, filter_id, by)
    if kept.person_id != by.id:
        raise NotAllowed("Only who keeps a filter can let it go.")
    db.delete(kept)
    db.flush()
