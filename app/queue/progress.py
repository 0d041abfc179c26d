"""How far one is: what a person did on a day, and what still waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.labels.models import DayOfWork
from app.projects.models import Project
from app.queue.handing_out import MOST_COUNTED, num_waiting

PAGE = 100


@dataclass(frozen=True)
class Progress:
    """What a person did today (UTC), and how many images wait for them: those given to them, and those given
    to nobody, each counted up to `MOST_COUNTED`.
    """

    images: int
    decisions: int
    assigned: int
    others: int

    @property
    def words(self) -> str:
        """The same in a line."""
        today = f"Today {_many(self.images, 'image')}, {_many(self.decisions, 'decision')}"
        waiting = f"{_bounded(self.others)} wait"
        if self.assigned:
            waiting = f"{_bounded(self.assigned)} given to you wait"
        return f"{today} · {waiting}"


def _many(number: int, what: str) -> str:
    return f"{number:,}".replace(",", "\u202f") + f" {what}{'' if number == 1 else 's'}"


def _bounded(number: int) -> str:
    most = f"{MOST_COUNTED:,}".replace(",", "\u202f")
    return f"more than {most}" if number > MOST_COUNTED else f"{number:,}".replace(",", "\u202f")


def find_progress(db: Session, project: Project, person: Person) -> Progress:
    """What a person did today, and what waits for them."""
    values = {"project_id": project.id, "person_id": person.id}
    return Progress(*db.execute(_PROGRESS, values).one())


def _progress() -> Select[Any]:
    """Both in one row: every labelling page asks."""
    of_day = (DayOfWork.images, DayOfWork.decisions)
    counts: list[Any] = [*(func.coalesce(each, 0) for each in of_day), *num_waiting()]
    is_today = (
        (DayOfWork.project_id == Project.id)
        & (DayOfWork.person_id == bindparam("person_id"))
        & (DayOfWork.day == func.date(func.timezone("UTC", func.clock_timestamp())))
    )
    return (
        select(*counts)
        .select_from(Project)
        .outerjoin(DayOfWork, is_today)
        .where(Project.id == bindparam("project_id"))
    )


_PROGRESS = _progress()


@dataclass(frozen=True)
class PersonsDay:
    """What one person did on one day: decisions about labels, images marked as done."""

    day: date
    person_id: int
    person: str
    decisions: int
    images: int


def find_days(
    db: Session, project: Project, *, before: tuple[date, int] | None = None, limit: int = PAGE
) -> Sequence[PersonsDay]:
    """What each person did on each day, the latest day first."""
    rows = (
        select(DayOfWork.day, Person.id, Person.name, DayOfWork.decisions, DayOfWork.images)
        .join(Person, Person.id == DayOfWork.person_id)
        .where(DayOfWork.project_id == project.id)
        .order_by(DayOfWork.day.desc(), DayOfWork.person_id)
        .limit(limit)
    )
    if before is not None:
        day, person_id = before
        rows = rows.where(
            (DayOfWork.day < day) | ((DayOfWork.day == day) & (DayOfWork.person_id > person_id))
        )
    return [PersonsDay(*row) for row in db.execute(rows)]
