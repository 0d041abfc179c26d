"""Giving images that wait to persons, and taking them back."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session, aliased

from app.accounts.models import Person
from app.errors import Conflict, Invalid, NotFound
from app.images.finding import filtered
from app.images.models import Image
from app.projects.models import Membership, Project
from app.queue.handing_out import ORDERS
from app.queue.models import STRATEGIES, Assignment, WaitingImage

MOST = 20_000
PAGE = 50


@dataclass(frozen=True)
class Given:
    """An assignment as it stands: whose it is, who gave it, and how many of its images still wait."""

    assignment: Assignment
    person: str
    giver: str
    num_waiting: int
    is_member: bool

    @property
    def num_done(self) -> int:
        """Images of it that are done, or left the project."""
        kept = self.assignment.num_images - (self.assignment.num_taken_back or 0)
        return kept - self.num_waiting


def assign(
    db: Session,
    project: Project,
    *,
    person_ids: Sequence[int],
    show: str = "undone",
    words: str = "",
    strategy: str = "id",
    num_images: int,
    by: Person,
) -> list[Assignment]:
    """Give up to `num_images` images of a filter that wait and are given to nobody to persons, one after the
    other in the order of a strategy, so that each gets as many.

    Raises Invalid for persons who are no members, an unknown filter or strategy and a number that is none or
    too large, Conflict where no image of the filter is left to be given.
    """
    person_ids = list(dict.fromkeys(person_ids))
    _refuse_strangers(db, project, person_ids)
    if strategy not in STRATEGIES:
        raise Invalid(
            f"Images are given in the order of {', '.join(STRATEGIES)}.", field="strategy"
        )
    if not len(person_ids) <= num_images <= MOST:
        raise Invalid(
            f"From {len(person_ids)} to {MOST:,} images can be given at once.", field="num_images"
        )
    chosen = db.scalars(
        select(WaitingImage.image_id)
        .join(Image, Image.id == WaitingImage.image_id)
        .where(
            *filtered(project, show, words),
            WaitingImage.project_id == project.id,
            WaitingImage.assignment_id.is_(None),
        )
        .order_by(*ORDERS[strategy])
        .limit(num_images)
        .with_for_update(of=WaitingImage)
    ).all()
    if len(chosen) < len(person_ids):
        raise Conflict(
            f"Of this choice {len(chosen)} images wait that are given to nobody."
            if chosen
            else "No image of this choice waits that is given to nobody.",
            hint="Choose others, or take some back first.",
        )
    about = {"project_id": project.id, "show": show, "words": words, "strategy": strategy}
    shares = [chosen[place :: len(person_ids)] for place in range(len(person_ids))]
    made = db.scalars(
        insert(Assignment).returning(Assignment, sort_by_parameter_order=True),
        [
            {**about, "person_id": person_id, "num_images": len(share), "given_by": by.id}
            for person_id, share in zip(person_ids, shares, strict=True)
        ],
    ).all()
    _put(db, [(each.id, share) for each, share in zip(made, shares, strict=True)])
    return list(made)


def give(
    db: Session,
    project: Project,
    image_ids: Sequence[int],
    *,
    person_id: int,
    show: str,
    words: str,
    by: Person,
) -> tuple[Assignment | None, list[int]]:
    """Give those of these images that wait and are given to nobody to one person, in this order; returns which.

    Raises Invalid for more than `MOST` images and for a person who is no member.
    """
    _refuse_strangers(db, project, [person_id])
    if len(image_ids) > MOST:
        raise Invalid(f"Up to {MOST:,} images can be given at once.", field="num_images")
    free = set(
        db.scalars(
            select(WaitingImage.image_id)
            .where(
                WaitingImage.image_id == func.any(list(image_ids)),
                WaitingImage.project_id == project.id,
                WaitingImage.assignment_id.is_(None),
            )
            .order_by(WaitingImage.image_id)
            .with_for_update()
        )
    )
    chosen = [each for each in image_ids if each in free]
    if not chosen:
        return None, []
    made = Assignment(
        project_id=project.id,
        person_id=person_id,
        show=show,
        words=words,
        strategy="id",
        num_images=len(chosen),
        given_by=by.id,
    )
    db.add(made)
    db.flush()
    _put(db, [(made.id, chosen)])
    return made, chosen


_PUT = text(
    """
    UPDATE waiting_image AS w SET assignment_id = g.assignment_id, place = g.place
    FROM unnest(CAST(:images AS bigint[]), CAST(:assignments AS bigint[]), CAST(:places AS int[]))
        AS g(image_id, assignment_id, place)
    WHERE w.image_id = g.image_id
    """
)


def _put(db: Session, shares: Sequence[tuple[int, Sequence[int]]]) -> None:
    rows = [
        (image_id, assignment_id, place)
        for assignment_id, share in shares
        for place, image_id in enumerate(share, start=1)
    ]
    images, assignments, places = (list(column) for column in zip(*rows, strict=True))
    db.execute(_PUT, {"images": images, "assignments": assignments, "places": places})


def _refuse_strangers(db: Session, project: Project, person_ids: Sequence[int]) -> None:
    if not person_ids:
        raise Invalid("Choose at least one person.", field="persons")
    members = select(Membership.person_id).where(
        Membership.project_id == project.id, Membership.person_id.in_(person_ids)
    )
    if strangers := set(person_ids) - set(db.scalars(members)):
        raise Invalid(f"Person {min(strangers)} is no member of this project.", field="persons")


def take_back(
    db: Session, project: Project, assignment_id: int, *, by: Person
) -> tuple[Assignment, list[int]]:
    """Give what still waits of an assignment to nobody again, and say which images that is; what is done stays.

    Raises NotFound for one of another project, Conflict for one that was taken back.
    """
    assignment = db.scalar(
        select(Assignment)
        .where(Assignment.id == assignment_id, Assignment.project_id == project.id)
        .with_for_update()
    )
    if assignment is None:
        raise NotFound(f"There is no assignment {assignment_id} in this project.")
    if assignment.taken_back_at is not None:
        raise Conflict("This assignment was taken back already.")
    freed = list(db.scalars(_FREE, {"assignment": assignment.id}))
    now = db.scalar(select(func.clock_timestamp()))
    assignment.taken_back_at, assignment.taken_back_by = now, by.id
    assignment.num_taken_back = len(freed)
    db.flush()
    return assignment, freed


_FREE = text(
    """
    UPDATE waiting_image SET assignment_id = NULL, place = NULL
    WHERE image_id IN (
        SELECT image_id FROM waiting_image WHERE assignment_id = :assignment ORDER BY image_id FOR UPDATE
    )
    RETURNING image_id
    """
)


def find_assignments(
    db: Session,
    project: Project,
    *,
    person: Person | None = None,
    before: int | None = None,
    limit: int = PAGE,
) -> list[Given]:
    """Assignments of a project, newest first; with `person` those of one person that stand."""
    giver = aliased(Person)
    waiting = (
        select(func.count())
        .where(WaitingImage.assignment_id == Assignment.id)
        .correlate(Assignment)
        .scalar_subquery()
    )
    rows = (
        select(Assignment, Person.name, giver.name, waiting, Membership.role)
        .join(Person, Person.id == Assignment.person_id)
        .join(giver, giver.id == Assignment.given_by)
        .outerjoin(
            Membership,
            (Membership.project_id == Assignment.project_id)
            & (Membership.person_id == Assignment.person_id),
        )
        .where(Assignment.project_id == project.id)
        .order_by(Assignment.id.desc())
        .limit(limit)
    )
    if before is not None:
        rows = rows.where(Assignment.id < before)
    if person is not None:
        rows = rows.where(Assignment.person_id == person.id, Assignment.taken_back_at.is_(None))
    return [
        Given(each, name, by, number, role is not None)
        for each, name, by, number, role in db.execute(rows)
    ]
