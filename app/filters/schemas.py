"""Kept filters as JSON."""

from pydantic import BaseModel, Field

from app.filters.keeping import Kept
from app.filters.models import LONGEST_NAME, LONGEST_QUERY


class FilterIn(BaseModel):
    """A filter to keep: the query of the wall's address, such as `show=done&key=clear-edges`."""

    name: str = Field(max_length=LONGEST_NAME)
    query: str = Field(max_length=LONGEST_QUERY)
    is_shared: bool = False


class FilterOut(BaseModel):
    """A kept filter; `query` is that of `GET .../images` too."""

    id: int
    name: str
    query: str
    is_shared: bool
    owner: str

    @classmethod
    def of(cls, kept: Kept) -> "FilterOut":
        """The same as JSON."""
        each = kept.filter
        return cls(
            id=each.id,
            name=each.name,
            query=each.query,
            is_shared=each.is_shared,
            owner=kept.owner,
        )
