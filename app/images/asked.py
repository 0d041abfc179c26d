"""What an address of the wall asks for, kept as one text, and all images that it finds in the order of their import."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Invalid
from app.images.finding import FILTERS, search
from app.images.models import Image
from app.images.narrowing import EVERYTHING, Narrowing, read_narrowing
from app.projects.models import Project

LONGEST_QUERY = 2_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A filter of the wall, words, and labels that images are to have."""

    show: str = "all"
    words: str = ""
    narrowing: Narrowing = EVERYTHING

    def __bool__(self) -> bool:
        return self.show != "all" or bool(self.words or self.narrowing)

    @property
    def query(self) -> str:
        """The same as part of an address, without what asks nothing; empty where it asks nothing at all."""
        if not self:
            return ""
        parts = [urlencode({"show": self.show, "q": self.words}), self.narrowing.query]
        return "&".join(each for each in parts if each)


def read_asked(query: str) -> Asked:
    """What the query of an address asks, whatever page of the list it is at. Raises Invalid."""
    given = parse_qs(query.removeprefix("?")[:LONGEST_QUERY], keep_blank_values=True)
    show = given.get("show", ["all"])[0]
    if show not in FILTERS:
        raise Invalid(f"Images can be filtered by {', '.join(FILTERS)}.", field="query")
    narrowing = read_narrowing(given, suggestions=True)
    return Asked(show, given.get("q", [""])[0].strip(), narrowing)


def find_ids(
    db: Session, project: Project, asked: Asked, *, after: int = 0, limit: int
) -> Sequence[int]:
    """The ids of the first images behind `after` that are found, in the order of their import."""
    found = search(db, project, asked.show, asked.words, asked.narrowing)
    if found.walk:
        return found.walk.find(Image.id, after or None, limit)
    statement = select(Image.id).where(*found.conditions, Image.id > after)
    statement = statement.order_by(Image.id).limit(limit)
    return db.scalars(statement).all()
