"""Which labels of an image apply to it, and how they read in its style. For statements: `app.images.applicability`."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.images.models import Image
from app.images.traits import Knowing, Trait, summed
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
    applicability = criteria.derived(Applicability)
    found = Knowing(project, criteria).find(db, {image.id: image.details})
    known = found.get(image.id, ())
    return Applied(criteria, applicability, known, summed(known))
