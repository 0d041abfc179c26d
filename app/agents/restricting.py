"""Runs that ask about some pairs alone, of some images alone: what a change of the criteria touched."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, and_, or_, select, true
from sqlalchemy.orm import Session

from app.agents.models import AgentRun, AgentRunImage
from app.database import Json
from app.images.inclusion import in_use
from app.images.models import Image, ImageTrait
from app.labels.models import Label
from taxonomy.asking_again import Why


@dataclass(frozen=True, slots=True)
class Asked:
    """Pairs, by id, that are asked of the same images: where they were split off, of those with labels of them;
    where they need less content (`needed`) than before, of those that are not known to hold it; else of all.
    """

    why: Why
    pairs: tuple[int, ...]
    needed: tuple[str, ...] = ()

    def of_image(self) -> ColumnElement[bool]:
        """Whether these pairs are asked of an image."""
        if self.why == "split":
            labels = select(Label.id).where(Label.image_id == Image.id)
            return labels.where(Label.node_id.in_(self.pairs)).exists()
        if self.needed:
            return ~and_(*(_holds(each) for each in self.needed))
        return true()


def _holds(content: str) -> ColumnElement[bool]:
    traits = select(ImageTrait.image_id).where(ImageTrait.image_id == Image.id, ImageTrait.present)
    return traits.where(ImageTrait.kind == "content", ImageTrait.value == content).exists()


@dataclass(frozen=True, slots=True)
class Restriction:
    """What a run is restricted to: what changed since criteria version `since`, in the images that the run
    `root` labelled. `run` is the one that it goes on from, which may have been restricted itself.
    """

    run: int
    root: int
    since: int
    asked: tuple[Asked, ...]

    def as_config(self) -> Json:
        """As the run keeps it."""
        return {"again": asdict(self)}

    @property
    def pairs(self) -> frozenset[int]:
        """All pairs that are asked of some image, by id."""
        return frozenset(pair for each in self.asked for pair in each.pairs)

    def images(self, version_id: int, after: int) -> list[ColumnElement[bool]]:
        """What holds of the images behind `after` that are concerned: looked at before, and not under this version."""
        before = select(AgentRunImage.image_id).where(
            AgentRunImage.agent_run_id == self.root,
            AgentRunImage.image_id > after,
            AgentRunImage.image_id == Image.id,
            AgentRunImage.state == "labelled",
            AgentRunImage.version_id != version_id,
        )
        return [before.exists(), or_(*(each.of_image() for each in self.asked))]


def restriction_of(run: AgentRun) -> Restriction | None:
    """What a run is restricted to; None where it asks about everything."""
    said = run.config.get("again")
    if said is None:
        return None
    asked = (
        Asked(each["why"], tuple(each["pairs"]), tuple(each["needed"])) for each in said["asked"]
    )
    return Restriction(said["run"], said["root"], said["since"], tuple(asked))


def images_of(run: AgentRun, *, after: int = 0) -> list[ColumnElement[bool]]:
    """What holds of the images that a run is to look at, of those behind `after`."""
    own = [Image.project_id == run.project_id, in_use()]
    restriction = restriction_of(run)
    return own + restriction.images(run.version_id, after) if restriction else own


def find_asked(
    db: Session, run: AgentRun, images: Sequence[Image]
) -> Mapping[int, frozenset[int]] | None:
    """The pairs, by id, that a run asks of each of these images; None where it asks about everything."""
    restriction = restriction_of(run)
    if restriction is None:
        return None
    columns = [each.of_image() for each in restriction.asked]
    rows = db.execute(
        select(Image.id, *columns).where(Image.id.in_([image.id for image in images]), in_use())
    )
    return {
        image_id: frozenset(
            pair
            for each, is_asked in zip(restriction.asked, asked, strict=True)
            if is_asked
            for pair in each.pairs
        )
        for image_id, *asked in rows
    }
