"""Erases an image in every room that knows it, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.remembering import forget_image
from app.datasets import erasures
from app.datasets.models import Dataset, PairDataset
from app.examples.choosing import drop_examples_of
from app.images.finding import get_image
from app.images.models import Image
from app.images.removing import erase_image
from app.labels.dropping import drop_labels
from app.notes.writing import drop_discussions_on
from app.projects.models import Project
from app.trust.keeping import forget_differences


@dataclass(frozen=True)
class Erased:
    """What was erased: the trace, how many labels went with it, and the datasets and pair datasets that
    hold a copy.
    """

    image: Image
    num_labels: int
    holding: Sequence[erasures.Frozen]

    @property
    def datasets(self) -> list[Dataset]:
        return [each for each in self.holding if isinstance(each, Dataset)]

    @property
    def pair_datasets(self) -> list[PairDataset]:
        return [each for each in self.holding if isinstance(each, PairDataset)]


def find_holding(db: Session, project: Project, image: Image) -> Sequence[erasures.Frozen]:
    """The frozen datasets and pair datasets that hold a copy of an image, to be known before it is erased."""
    return erasures.find_holding(db, project, image)


def erase(
    db: Session, project: Project, image_id: int, *, reason: str, by: Person | None
) -> Erased:
    """Erase an image: its file and all that was made of it, its texts and its labels.

    A trace stays: its id, the hash of its file, who erased it, when and why. Frozen datasets that hold
    it are marked, never changed. The bytes leave the storage after the commit; where the storage does
    not answer then, the sweeper removes them later. Raises NotFound, and Invalid without a reason.
    """
    holding = erasures.find_holding(db, project, get_image(db, project, image_id))
    image = erase_image(db, project, image_id, reason=reason, by=by)
    num_labels = drop_labels(db, image)
    drop_examples_of(db, image)
    drop_discussions_on(db, image)
    forget_image(db, image)
    forget_differences(db, image)
    erasures.mark(db, holding, image)
    return Erased(image, num_labels, holding)
