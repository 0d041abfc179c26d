"""Which labels of an image apply to it, and how they read in its style."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.images.models import Image
from app.images.traits import Knowing, Trait, find_traits, summed
from app.projects.models import Project
from taxonomy.applicability import UNKNOWN, Applicability, Reads, Traits
from taxonomy.tree import Criteria, Polarity


@dataclass(frozen=True, slots=True)
class Applied:
    """One image asked of one tree: what is known of it, and what follows."""

    criteria: Criteria
    applicability: Applicability
    known: tuple[Trait, ...] = ()
    traits: Traits = UNKNOWN

    def lacking(self, key: str) -> tuple[str, ...]:
        """The names of the content for want of which a pair does not apply; none where it does."""
        missing = self.applicability.lacking(key, self.traits)
        names = {each.id: each.name for each in self.criteria.content} if missing else {}
        return tuple(names.get(each, each) for each in missing)

    def reads(self, key: str, polarity: Polarity) -> Reads:
        """How an attribute reads here."""
        return self.applicability.reads(key, polarity, self.traits)

    def applies(self, key: str) -> bool:
        """Whether a pair is asked here."""
        return not self.applicability.lacking(key, self.traits)


def apply(db: Session, project: Project, criteria: Criteria, image: Image) -> Applied:
    """What is known of an image under a tree, and what follows for its labels."""
    applicability = Applicability(criteria)
    found = Knowing(project, criteria).find(db, {image.id: image.details})
    known = found.get(image.id, ())
    return Applied(criteria, applicability, known, summed(known))


def find_not_applicable(
    db: Session,
    project: Project,
    criteria: Criteria,
    asked: Collection[tuple[int, str]],
) -> set[tuple[int, str]]:
    """Of these (image, key of a pair)s those that do not apply."""
    applicability = Applicability(criteria)
    ids = {image_id for image_id, _ in asked}
    traits = find_traits(db, project, criteria, _details(db, ids))
    return {
        (image_id, key)
        for image_id, key in asked
        if applicability.lacking(key, traits.get(image_id, UNKNOWN))
    }


def _details(db: Session, ids: Iterable[int]) -> dict[int, dict[str, object]]:
    rows = db.execute(select(Image.id, Image.details).where(Image.id == func.any(list(ids))))
    return {row.id: row.details for row in rows}
