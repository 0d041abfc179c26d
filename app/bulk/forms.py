"""What people choose on the form of a bulk action."""

from typing import Literal

from app.bulk.asking import Wish
from app.database import LARGEST_KEY
from app.errors import Invalid
from app.web.forms import Fields
from method.whole_numbers import read_whole

Kind = Literal["confirm", "add", "reject", "doubt", "done", "reopen", "assign"]


class BulkForm(Fields):
    """What is to be done, and to which images: those of a filter (`query`), or those chosen one by one (`image`).
    `attribute` is a key and a side: `clear-edges/positive`.
    """

    kind: Kind
    attribute: str = ""
    person: str = ""
    replace: bool = False
    query: str = ""
    image: list[int] = []

    def wish(self) -> Wish:
        """As the verbs take it. Raises Invalid where the action needs an attribute and none is given."""
        key, _, polarity = self.attribute.rpartition("/")
        if self.kind in ("done", "reopen", "assign"):
            key = polarity = ""
        elif not key:
            raise Invalid("Choose an attribute.", field="attribute")
        return Wish(
            self.kind,
            key,
            polarity,
            person_id=read_whole(self.person, LARGEST_KEY),
            query=self.query,
            chosen=self.image,
            replace=self.replace,
        )
