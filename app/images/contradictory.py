"""Narrowing images down by whether labels of theirs contradict one another, as the database keeps it."""

from sqlalchemy import Select, literal, select, tuple_
from sqlalchemy.orm import Session

from app.errors import Invalid
from app.images.counting import count_kinds
from app.labels.models import ImageContradiction
from app.projects.models import Project

WORDS = {"yes": True, "no": False}


def read_contradictory(text: str, *, suggestions: bool) -> bool | None:
    """What an address or a form asks; nothing where it says nothing. Raises Invalid with the field."""
    if text and not suggestions:
        raise Invalid(
            "Which images have contradictions is hidden with the suggestions, which are among them.",
            field="contradictory",
            hint="Show suggestions on the page of an image first.",
        )
    if text and text not in WORDS:
        raise Invalid(f"Contradictory is {', '.join(WORDS)}.", field="contradictory")
    return WORDS[text] if text else None


def count_contradictory(db: Session, project: Project, *, wanted: bool) -> int:
    """How many images in use have contradictions, or none."""
    kinds = count_kinds(db, project)
    return kinds.contradictory if wanted else kinds.used - kinds.contradictory


def contradictory_images(project: Project, *, wanted: bool) -> Select[int]:
    """The images of a project with contradictions, or without."""
    return select(ImageContradiction.image_id).where(
        ImageContradiction.project_id == project.id,
        ImageContradiction.is_contradictory == literal(wanted),
    )


def first_contradictory(project: Project, after: int, *, wanted: bool) -> Select[int]:
    """The first of them behind an id."""
    # Compared as rows, which the index with all three can do: a prepared statement would else read the primary key.
    kept = ImageContradiction
    place = (kept.project_id, kept.is_contradictory, kept.image_id)
    behind = tuple_(*place) > tuple_(literal(project.id), literal(wanted), literal(after))
    return contradictory_images(project, wanted=wanted).where(behind).order_by(*place).limit(1)
