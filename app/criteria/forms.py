"""What people type about the criteria."""

from typing import Literal

from pydantic import Field

from app.web.forms import Fields
from taxonomy.tree import Relation


class NodeTexts(Fields):
    """Names and definitions of a dimension or a pair; what does not belong to it is left out."""

    name: str | None = None
    definition: str | None = None
    positive_name: str | None = None
    positive_definition: str | None = None
    negative_name: str | None = None
    negative_definition: str | None = None

    def texts(self) -> dict[str, str]:
        """Those that were given, by column."""
        return self.model_dump(include=set(NodeTexts.model_fields), exclude_none=True)


class NodeForm(NodeTexts):
    """Other texts of a node, as it was seen at a revision."""

    based_on: int
    names_moved: Literal["keep", "follow"] | None = None


class DimensionForm(Fields):
    """A new dimension; an empty `parent` makes a root dimension."""

    parent: str = ""
    name: str = Field(min_length=1)
    definition: str = ""
    exclusive: bool = False


class PairForm(Fields):
    """A new attribute pair."""

    parent: str
    relation: Relation
    positive_name: str = Field(min_length=1)
    positive_definition: str = ""
    negative_name: str = Field(min_length=1)
    negative_definition: str = ""
    names_moved: Literal["keep", "follow"] | None = None


class PublicationForm(Fields):
    """A publication: the working revision that was looked at, and a note."""

    based_on: int
    note: str = ""
    names_moved: Literal["keep", "follow"] | None = None


class ImportForm(Fields):
    """An import that was shown: its criteria as they were packed, and the working revision it was
    compared with.
    """

    file: str = ""
    content: str
    based_on: int
    names_moved: Literal["keep", "follow"] | None = None


class EditionForm(Fields):
    """Taking the newest edition over: the working revision that was shown, and the places of those texts that
    both changed which are to be the edition's. `yours` and what is chosen at each place say nothing.
    """

    based_on: int
    theirs: list[str] = []
    names_moved: Literal["keep", "follow"] | None = None


class FixForm(Fields):
    """A fault to put right, and the working revision whose checks told of it."""

    code: str
    key: str
    based_on: int


class UndoForm(Fields):
    """Taking a change back; `names_moved` where that exchanges names that labels were made for."""

    names_moved: Literal["keep", "follow"] | None = None


class RetireForm(Fields):
    """Taking a node out of use, or back into it."""

    based_on: int


class MoveForm(Fields):
    """Where a node goes: below `parent` (empty: at the top), before its child `before` or last."""

    based_on: int
    parent: str = ""
    before: str = ""


class NewPairsForm(Fields):
    """The pairs that take the place of one: texts and relations by their order; one left empty is none.

    Other names have a line each, other languages a line such as `zh-Hans: name | definition`.
    """

    based_on: int
    relation: list[str] = []
    positive_name: list[str] = []
    positive_definition: list[str] = []
    positive_prompt: list[str] = []
    positive_alternatives: list[str] = []
    positive_translations: list[str] = []
    negative_name: list[str] = []
    negative_definition: list[str] = []
    negative_prompt: list[str] = []
    negative_alternatives: list[str] = []
    negative_translations: list[str] = []


class MergeForm(NodeTexts):
    """Merging nodes: those chosen as `key:revision`, and what they become.

    `into` is the key of one of them, or empty for a new one. The other fields say what it is called and what
    it says; those that did not come stay as they are.
    """

    seen: list[str]
    into: str = ""
    relation: str = "opposed"
    exclusive: bool = False
    alternatives: str | None = None
    translations: str | None = None
    positive_prompt: str | None = None
    positive_alternatives: str | None = None
    positive_translations: str | None = None
    negative_prompt: str | None = None
    negative_alternatives: str | None = None
    negative_translations: str | None = None
