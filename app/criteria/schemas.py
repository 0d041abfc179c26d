"""The criteria as JSON."""

from base64 import b64decode
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.criteria.models import Node
from taxonomy.formats.data import MAX_BYTES
from taxonomy.tree import Relation

NamesMoved = Literal["keep", "follow"]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class SideIn(_In):
    """New texts of one side of a pair."""

    name: str | None = None
    definition: str | None = None


class TextsIn(_In):
    """New names and definitions of a node; those that are not given stay."""

    name: str | None = None
    definition: str | None = None
    positive: SideIn | None = None
    negative: SideIn | None = None

    def texts(self) -> dict[str, str]:
        """What is given, by column."""
        given = {"name": self.name, "definition": self.definition}
        for polarity, side in (("positive", self.positive), ("negative", self.negative)):
            if side is not None:
                given[f"{polarity}_name"] = side.name
                given[f"{polarity}_definition"] = side.definition
        return {field: text for field, text in given.items() if text is not None}


class NodePatch(TextsIn):
    """New texts of a node, and what else it says. `based_on` is the revision of the node that they were
    written for. `details` names fields as a criteria file does (`translations`, `alternatives`, `needs`,
    …; of a pair those of its sides below `positive` and `negative`); what is null is taken out, what is
    not named stays. `names_moved` says what becomes of labels where a name goes to another attribute.
    """

    based_on: int
    details: dict[str, Any] = Field(default_factory=dict)
    relation: Relation | None = None
    exclusive: bool | None = None
    names_moved: NamesMoved | None = None

    def says_more(self) -> bool:
        """Whether anything beside names and definitions is given."""
        return bool(self.details) or self.relation is not None or self.exclusive is not None

    @model_validator(mode="after")
    def _holds_something(self) -> "NodePatch":
        if not self.texts() and not self.says_more():
            raise ValueError("give a name, a definition or something else to change")
        return self


class DimensionIn(_In):
    """A new dimension; without `parent` a root dimension."""

    kind: Literal["dimension"]
    parent: str | None = None
    name: str
    definition: str = ""
    exclusive: bool = False


class AttributeIn(_In):
    """One side of a new pair."""

    name: str
    definition: str = ""


class PairIn(_In):
    """A new attribute pair below the dimension `parent`."""

    kind: Literal["pair"]
    parent: str
    relation: Relation
    positive: AttributeIn
    negative: AttributeIn
    names_moved: NamesMoved | None = None


NodeIn = Annotated[DimensionIn | PairIn, Field(discriminator="kind")]


class NewPairIn(_In):
    """A pair that takes the place of others."""

    relation: Literal["opposed", "flaw", "graded"]
    positive: AttributeIn
    negative: AttributeIn
    details: dict[str, Any] = Field(
        default_factory=dict,
        description="As of an edit; over what it takes over from the pair that was split.",
    )


class NewDimensionIn(_In):
    """A dimension that takes the place of others."""

    name: str
    definition: str = ""
    exclusive: bool = False


class MergeIn(TextsIn):
    """Nodes to merge, all pairs or all dimensions. `based_on` has the revision of each that was seen;
    `into` is the key of one that stays, whose names and definitions may be given anew, or what a new one says.
    """

    keys: Annotated[list[str], Field(max_length=50)]
    into: str | NewPairIn | NewDimensionIn
    based_on: dict[str, int]
    details: dict[str, Any] = Field(
        default_factory=dict,
        description="As of an edit; over what the one that stays takes over from the others.",
    )


class SplitIn(_In):
    """The pairs that take the place of one."""

    based_on: int
    into: Annotated[list[NewPairIn], Field(min_length=2, max_length=20)]


class RedefineIn(_In):
    """The pair that takes the place of one whose meaning changed."""

    based_on: int
    new: NewPairIn


class BasedOnIn(_In):
    """The revision of the node that was seen."""

    based_on: int


class MoveIn(_In):
    """Where a node goes: below `parent` (null: at the top), before its child `before` or last."""

    based_on: int
    parent: str | None = None
    before: str | None = None


class PlaceOut(_Out):
    """A dimension that a node might go below; `key` is null for the top. `problem` says why it cannot."""

    key: str | None
    name: str
    path: list[str]
    is_here: bool
    problem: str | None


class PlacesOut(_Out):
    """Places for a node in tree order; `next` goes into `after` for those that follow."""

    items: list[PlaceOut]
    next: str | None


class NodesOut(_Out):
    """Nodes of the working criteria."""

    items: list["NodeOut"]


# As JSON writes each letter of another script in six characters.
FILE_BYTES = 2 * MAX_BYTES + 1024**2


class FileIn(_In):
    """A file of criteria in any format. `content` is its text, or in base64 its bytes (Excel); `file` its
    name, whose ending says the format, which is else found by how the file begins.
    """

    content: str
    encoding: Literal["text", "base64"] = "text"
    file: str = ""

    @model_validator(mode="after")
    def _is_encoded(self) -> "FileIn":
        if self.encoding == "base64":
            try:
                b64decode(self.content, validate=True)
            except ValueError:
                raise ValueError("the content is not base64") from None
        return self

    def read(self) -> bytes:
        """The bytes of the file."""
        if self.encoding == "text":
            return self.content.encode("utf-8", "surrogatepass")
        return b64decode(self.content)


class ImportIn(FileIn):
    """A file to put in the place of the criteria. `based_on` is the revision that a preview was for; none in
    a project without criteria.
    """

    based_on: int | None = None
    names_moved: NamesMoved | None = None


class AttributeOut(_Out):
    """One side of a pair."""

    name: str
    definition: str


class NodeOut(_Out):
    """A node of the working criteria. `labels` counts proposed and confirmed labels at and below
    it; it and `num_pairs` are null where they were not asked for.

    A node that left the tree says in `replaced` how, and `successors` are the keys in use that it leads to.
    """

    id: int
    key: str
    kind: Literal["dimension", "pair"]
    parent: str | None
    position: int
    revision: int
    retired: bool
    name: str | None = None
    definition: str | None = None
    exclusive: bool | None = None
    relation: Relation | None = None
    positive: AttributeOut | None = None
    negative: AttributeOut | None = None
    details: dict[str, Any] = Field(default_factory=dict)
    num_pairs: int | None = None
    labels: int | None = None
    replaced: Literal["merge", "split", "redefine", "return"] | None = None
    successors: list[str] = []


def node_out(
    node: Node, parent: str | None, *, num_pairs: int | None = None, labels: int | None = None
) -> NodeOut:
    """A node as JSON; `parent` is the key of the node above."""
    is_pair = node.kind == "pair"
    positive = {"name": node.positive_name, "definition": node.positive_definition}
    negative = {"name": node.negative_name, "definition": node.negative_definition}
    return NodeOut.model_validate(
        {
            "id": node.id,
            "key": node.key,
            "kind": node.kind,
            "parent": parent,
            "position": node.position,
            "revision": node.revision,
            "retired": node.retired,
            "name": node.name,
            "definition": None if is_pair else node.definition,
            "exclusive": node.exclusive,
            "relation": node.relation,
            "positive": positive if is_pair else None,
            "negative": negative if is_pair else None,
            "details": node.details,
            "num_pairs": num_pairs,
            "labels": labels,
        }
    )


class ListsIn(_In):
    """The content that nodes may need and the styles that attributes may name, each by its id. `based_on`
    is the revision of the criteria that they were written for.
    """

    based_on: int
    content: dict[str, Any]
    styles: dict[str, Any]


class ListsOut(_Out):
    """Content and styles as they stand."""

    revision: int
    content: dict[str, Any]
    styles: dict[str, Any]


class CriteriaOut(_Out):
    """The working criteria. `revision` counts the changes made to them; `version` is the number of
    the version that stands.
    """

    name: str
    language: str
    max_levels: int
    revision: int
    version: int | None
    nodes: list[NodeOut]


class ChangeOut(_Out):
    """One recorded change."""

    revision: int
    kind: str
    key: str | None
    sentence: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    by: str | None
    at: datetime
    undoes: int | None
    undone_by: int | None


class ChangesOut(_Out):
    """Changes, newest first."""

    items: list[ChangeOut]
    next: int | None


class FoundOut(_Out):
    """An attribute that a search found."""

    node_id: int
    key: str
    polarity: Literal["positive", "negative"]
    name: str
    definition: str
    path: list[str]


class SearchOut(_Out):
    """What a search found, best first."""

    items: list[FoundOut]


class MatchOut(_Out):
    """A dimension or pair that holds the words: in a name, or only in a definition.

    `marks` has, for each of its texts, from which character up to which the words stand in it.
    """

    key: str
    where: Literal["name", "definition"]
    marks: dict[str, list[tuple[int, int]]]


class MatchesOut(_Out):
    """What a filter found, in tree order."""

    items: list[MatchOut]


class LoadedOut(_Out):
    """What an import loaded."""

    name: str
    dimensions: int
    pairs: int
    revision: int
