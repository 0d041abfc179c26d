"""Loads an image through its project, and the criteria that its labels are made under."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Cookie, Depends, Request
from sqlalchemy import Integer, Select, bindparam, func, select, true
from sqlalchemy.orm import Session, load_only

from app.accounts.access import CurrentPerson
from app.criteria.models import Criteria as CriteriaRow
from app.criteria.models import Node
from app.criteria.reading import current_version, version_criteria
from app.errors import Conflict, Invalid, NotAllowed
from app.images.finding import LOCKED, get_image
from app.images.models import Image
from app.projects.models import Project
from taxonomy.names import is_key
from taxonomy.tree import POLARITIES, Criteria, Pair

COOKIE = "morelli_suggestions"
# Of PostgreSQL's advisory locks: the one that labelling in a project stands under.
_LABELLING = 0x6C61626C
_HELD = "criteria_in_force"
# The row is locked last, when all that it is joined with was read.
_HOLD = select(
    func.pg_advisory_xact_lock_shared(_LABELLING, bindparam("project_id", type_=Integer)).label(
        "is"
    )
).cte("hold")
_HOLDING = LOCKED.join(_HOLD, true())
Kept = Annotated[Literal["show", "hide"], Cookie(alias=COOKIE, include_in_schema=False)]


async def sees_suggestions(request: Request, person: CurrentPerson, kept: Kept = "show") -> bool:
    """Whether who asks is shown what agents propose. A browser remembers it; programs always are."""
    del person  # known first: only then is it known whether a browser asks
    return kept == "show" or request.state.sign_in is None


Sight = Annotated[bool, Depends(sees_suggestions)]


async def refuse_hidden(sight: Sight) -> None:
    """Policy: who has not hidden suggestions. Raises NotAllowed: image by image, an agent's account tells
    where it proposed something.
    """
    if not sight:
        raise NotAllowed(
            "What an agent did with each image is hidden with the suggestions.",
            hint="Show suggestions on the page of an image first.",
        )


@dataclass(frozen=True)
class Viewer:
    """Who asks, and whether they are shown what agents propose."""

    person_id: int
    suggestions: bool


async def viewer(person: CurrentPerson, sight: Sight) -> Viewer:
    """Policy: what is counted for a person is what they are shown."""
    return Viewer(person.id, sight)


Viewing = Annotated[Viewer, Depends(viewer)]

__all__ = [
    "COOKIE",
    "InForce",
    "Sight",
    "Viewer",
    "Viewing",
    "find_in_force",
    "get_attribute",
    "get_image",
    "get_in_force",
    "hold_all_labels",
    "hold_in_force",
    "hold_labels",
    "lock_image",
    "refuse_hidden",
]


@dataclass(frozen=True)
class InForce:
    """The published version that labels are made under now, with its tree."""

    version_id: int
    number: int
    criteria: Criteria


def find_in_force(db: Session, project: Project) -> InForce | None:
    """The newest published criteria version of a project, or None before the first."""
    held = _held(db)
    if project.id in held:
        return held[project.id]
    version = current_version(db, project)
    if version is None:
        return None
    held[project.id] = InForce(version.id, version.number, version_criteria(version))
    return held[project.id]


def _held(db: Session) -> dict[int, InForce]:
    """What is in force by project, as far as this transaction keeps publications from replacing it."""
    transaction, known = db.info.get(_HELD, (None, {}))
    return known if transaction is not None and transaction is db.get_transaction() else {}


def hold_in_force(db: Session, project: Project, version_id: int) -> bool:
    """Whether this version is in force. If it is, publications wait until this transaction ends: what
    is written now is written under it.
    """
    db.execute(
        select(CriteriaRow.project_id)
        .where(CriteriaRow.project_id == project.id)
        .with_for_update(read=True)
    )
    version = current_version(db, project)
    return version is not None and version.id == version_id


def hold_labels(db: Session, project: Project) -> None:
    """Call before an image is locked to change its labels: publications wait until this transaction
    ends, so that no label is made under a version that they replace. Others who label do not wait.
    """
    db.execute(select(func.pg_advisory_xact_lock_shared(_LABELLING, project.id)))
    db.info[_HELD] = (db.get_transaction(), {})


def lock_image(db: Session, project: Project, image_id: int) -> Image:
    """An image locked to change its labels, with `hold_labels` before: in one statement, as every save does both.

    Who waits for a publication finds the image as it left it: a locked row is read anew. Raises NotFound.
    """
    image = get_image(db, project, image_id, lock=_HOLDING)
    db.info[_HELD] = (db.get_transaction(), {})
    return image


def hold_all_labels(db: Session, project: Project) -> None:
    """Wait until nobody is in the middle of changing labels, and have others wait until this
    transaction ends. Call with the criteria locked and before any image is.
    """
    db.execute(select(func.pg_advisory_xact_lock(_LABELLING, project.id)))


def get_in_force(db: Session, project: Project) -> InForce:
    """The newest published criteria version. Raises Conflict where nothing is published yet."""
    in_force = find_in_force(db, project)
    if in_force is None:
        raise Conflict(
            "The criteria of this project are not published yet, so nothing can be labelled.",
            hint="An expert publishes a first version on the criteria page.",
        )
    return in_force


def _node(project_id: int, key: str) -> Select[Node]:
    # Its texts are those of the version in force, and come from there.
    wanted = load_only(Node.key, Node.kind, Node.project_id)
    return select(Node).where(Node.project_id == project_id, Node.key == key).options(wanted)


def get_attribute(
    db: Session, project: Project, in_force: InForce, key: str, polarity: str
) -> tuple[Node, str]:
    """The node of an attribute pair in force, and the attribute's name.

    Raises Invalid for an unknown polarity or key and for a key that names a dimension, Conflict for
    a retired pair and for one that is not published yet.
    """
    if polarity not in POLARITIES:
        raise Invalid(f"A polarity is {' or '.join(POLARITIES)}.", field="polarity")
    if not is_key(key):
        raise Invalid("This is not the key of an attribute pair.", field="key")
    node = db.scalar(_node(project.id, key))
    entry = in_force.criteria.find(key)
    if node is None:
        raise Invalid(f"No attribute pair of this project has the key “{key}”.", field="key")
    if node.kind != "pair":
        raise Invalid(f"“{key}” is a dimension; labels name attribute pairs.", field="key")
    if entry is None and (successors := in_force.criteria.resolve(key)):
        raise Conflict(
            f"The attribute pair “{key}” was replaced by {' and '.join(successors)} in the criteria.",
            field="key",
            hint="Load the image's labels again.",
            successors=list(successors),
        )
    if entry is None or not isinstance(entry.node, Pair):
        raise Conflict(
            f"The attribute pair “{key}” is not in version {in_force.number} of the criteria yet.",
            field="key",
            hint="It can be used once the criteria are published again.",
        )
    name = entry.node.attribute("positive" if polarity == "positive" else "negative").name
    if entry.retired:
        raise Conflict(
            f"“{name}” is retired in version {in_force.number} of the criteria.",
            field="key",
            hint="Existing labels of it are kept, but no longer changed.",
        )
    return node, name
