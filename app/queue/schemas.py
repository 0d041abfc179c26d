"""The queue as JSON."""

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field

from app.queue.assigning import MOST, Given
from app.queue.forms import Strategy
from app.queue.models import QueueOrder
from app.queue.progress import PersonsDay, Progress

MOST_HELD = 20


class Asked(BaseModel):
    """Base of what programs send: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class HoldIn(Asked):
    """The images that somebody is at, the one in view first."""

    images: list[int] = Field(min_length=1, max_length=MOST_HELD)


class HeldOut(BaseModel):
    """Which of these images are kept for who asked, and who else is at the first one; what they did today
    (UTC), and what waits for them, each counted up to 1,001.
    """

    held: list[int]
    busy: str | None
    images_today: int
    decisions_today: int
    assigned: int
    others: int
    words: str


class NextIn(Asked):
    """Behind which image to look; 0: from the beginning."""

    after: int = Field(default=0, ge=0)


class NextOut(BaseModel):
    """The image that is kept for who asked; null where none waits that nobody else is at."""

    image: int | None


class OrderIn(Asked):
    """In which order the queue is handed out."""

    strategy: Strategy


class OrderOut(BaseModel):
    """In which order the queue is handed out, and when all that waits was last measured for it."""

    strategy: Strategy
    changed_at: datetime | None
    measured_at: datetime | None

    @classmethod
    def of(cls, order: QueueOrder) -> "OrderOut":
        """The same as JSON."""
        return cls.model_validate(order, from_attributes=True)


class AssignIn(Asked):
    """Images of a filter of the wall (`show`, `words`) for persons, each as many, in the order of a strategy."""

    persons: list[int] = Field(min_length=1, max_length=200, description="Ids of members.")
    show: str = "undone"
    words: str = Field(default="", max_length=200)
    strategy: Strategy = "id"
    num_images: int = Field(ge=1, le=MOST, description="For all persons together, at most.")


class AssignmentOut(BaseModel):
    """Images that were given to a person at once, and how many of them still wait."""

    id: int
    person_id: int
    person: str
    show: str
    words: str
    strategy: Strategy
    images: int
    waiting: int
    taken_back: int | None
    given_by: str
    given_at: datetime
    taken_back_at: datetime | None

    @classmethod
    def of(cls, given: Given) -> "AssignmentOut":
        """The same as JSON."""
        own = given.assignment
        return cls.model_validate(
            {
                "id": own.id,
                "person_id": own.person_id,
                "person": given.person,
                "show": own.show,
                "words": own.words,
                "strategy": own.strategy,
                "images": own.num_images,
                "waiting": given.num_waiting,
                "taken_back": own.num_taken_back,
                "given_by": given.giver,
                "given_at": own.given_at,
                "taken_back_at": own.taken_back_at,
            }
        )


class AssignmentsOut(BaseModel):
    """A page of assignments, newest first; `next` goes into `before` for the next page."""

    items: list[AssignmentOut]
    next: int | None


class DayOut(BaseModel):
    """What one person did on one day (UTC)."""

    day: date
    person_id: int
    person: str
    decisions: int
    images: int


class DaysOut(BaseModel):
    """A page of days, the latest first; `next_day` and `next_person` go into `before_day` and `before_person`."""

    items: list[DayOut]
    next_day: date | None
    next_person: int | None


def show_held(held: set[int], busy: str | None, progress: Progress) -> HeldOut:
    return HeldOut(
        held=sorted(held),
        busy=busy,
        images_today=progress.images,
        decisions_today=progress.decisions,
        assigned=progress.assigned,
        others=progress.others,
        words=progress.words,
    )


def show_days(found: list[PersonsDay], *, goes_on: bool) -> DaysOut:
    items = [DayOut.model_validate(each, from_attributes=True) for each in found]
    last = items[-1] if goes_on else None
    return DaysOut(
        items=items,
        next_day=last.day if last else None,
        next_person=last.person_id if last else None,
    )
