"""How many images of each kind a project has, as the database keeps it (`app.images.models.ImageCount`)."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.orm import Session

from app.images.models import ImageCount
from app.projects.models import Project


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """Images in use, among them those that are done, wait, have something new since they were done, proposals
    that apply to them (`asked`), or labels that contradict one another; and those that were set aside.
    """

    used: int
    done: int
    undone: int
    new: int
    asked: int
    aside: int
    contradictory: int = 0

    def of(self, show: str) -> int | None:
        """How many images a filter of the wall finds (`app.images.finding.FILTERS`); None where that is not kept."""
        name = {"all": "used", "proposed": "asked"}.get(show, show)
        return int(getattr(self, name)) if name in self.__slots__ else None


_COLUMNS = (
    *(ImageCount.used, ImageCount.done, ImageCount.undone),
    *(ImageCount.new, ImageCount.asked, ImageCount.aside),
    ImageCount.contradictory,
)


def count_kinds(db: Session, project: Project) -> ImageCounts:
    """The images of a project by kind; costs the same at any number of them."""
    sums = [cast(func.coalesce(func.sum(each), 0), BigInteger) for each in _COLUMNS]
    row = db.execute(select(*sums).where(ImageCount.project_id == project.id)).one()
    return ImageCounts(*map(int, row))
