"""How an agent looked at one image in one run: its three steps, with what it wrote down on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.agents.models import AgentRun, AgentRunImage
from app.agents.sides import side_of
from app.criteria.models import CriteriaVersion, Node
from app.criteria.reading import nodes_by_key, version_criteria
from app.errors import NotFound
from app.images.models import Image
from app.labels.models import Label
from app.projects.models import Project
from taxonomy.tree import Criteria, Polarity

# What the first step asks about; the second goes below.
FIRST_LEVELS = 2


@dataclass(frozen=True)
class Activated:
    """A dimension that the agent chose, by its path of names, and why."""

    path: str
    why: str


@dataclass(frozen=True)
class Stated:
    """A side that it said holds; `label` is the label where it still is this run's."""

    node: Node
    polarity: Polarity
    label: Label | None


@dataclass(frozen=True)
class LookedBack:
    """The steps: `style`, `content` and `deconstructed` of the first, `structured` of the second, `stated` of the
    third. An agent that does not look in steps has the last alone, and `has_steps` false.
    """

    image: Image
    row: AgentRunImage
    version: int
    has_steps: bool
    style: str | None
    content: Sequence[str]
    deconstructed: Sequence[Activated]
    structured: Sequence[Activated]
    stated: Sequence[Stated]


def look_back(db: Session, project: Project, run: AgentRun, image_id: int) -> LookedBack:
    """How a run looked at an image. Raises NotFound where it did not."""
    found = db.execute(
        select(AgentRunImage, Image, CriteriaVersion)
        .join(Image, Image.id == AgentRunImage.image_id)
        .join(CriteriaVersion, CriteriaVersion.id == AgentRunImage.version_id)
        .where(AgentRunImage.agent_run_id == run.id, AgentRunImage.image_id == image_id)
    ).one_or_none()
    if found is None:
        raise NotFound("This agent run has not looked at this image.")
    row, image, version = found
    criteria, notes = version_criteria(version), row.notes or {}
    chosen = {key: why for key, why in notes.get("dimensions", {}).items() if criteria.find(key)}
    return LookedBack(
        image=image,
        row=row,
        version=version.number,
        has_steps="dimensions" in notes,
        style=next((each.name for each in criteria.styles if each.id == notes.get("style")), None),
        content=[each.name for each in criteria.content if each.id in notes.get("content", [])],
        deconstructed=_activated(criteria, chosen, deep=False),
        structured=_activated(criteria, chosen, deep=True),
        stated=_stated(db, project, run, row),
    )


def _activated(criteria: Criteria, chosen: Mapping[str, str], *, deep: bool) -> list[Activated]:
    """In the order of the tree."""
    return [
        Activated(
            " › ".join(criteria.dimension(key).name for key in entry.path),
            chosen[entry.node.key],
        )
        for entry in criteria.walk()
        if entry.node.key in chosen and (entry.level > FIRST_LEVELS) == deep
    ]


def _stated(db: Session, project: Project, run: AgentRun, row: AgentRunImage) -> list[Stated]:
    own = select(Label).where(Label.image_id == row.image_id, Label.agent_run_id == run.id)
    labels = {(each.node_id, each.polarity): each for each in db.scalars(own)}
    sides = [side_of(number) for number in row.found or ()]
    sides += [side for side in labels if side not in sides]  # type: ignore[misc]
    nodes = {node.id: node for node in nodes_by_key(db, project).values()}
    return [Stated(nodes[each[0]], each[1], labels.get(each)) for each in sides]
