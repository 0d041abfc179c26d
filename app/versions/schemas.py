"""Published versions as JSON."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.versions.foreseeing import Effect
from app.versions.touching import Touched


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class PublicationIn(BaseModel):
    """A publication. `based_on` is the working revision that was looked at, where one was;
    `names_moved` says what becomes of labels whose name went to another attribute.
    """

    model_config = ConfigDict(extra="forbid")

    note: str = ""
    based_on: int | None = None
    names_moved: Literal["keep", "follow"] | None = None


class VersionOut(_Out):
    """One published version; `sha256` is the hash of its canonical JSON."""

    number: int
    sha256: str
    note: str
    working_revision: int
    by: str | None
    published_at: datetime


class VersionsOut(_Out):
    """Published versions, newest first."""

    items: list[VersionOut]
    next: int | None


class VersionContentOut(VersionOut):
    """A published version with its whole tree."""

    criteria: dict[str, Any]


class ProblemOut(_Out):
    """A fault that a check found."""

    code: str
    severity: Literal["error", "warning"]
    key: str
    message: str


class ChangedOut(_Out):
    """One difference to the version that stands."""

    kind: str
    key: str
    part: str
    sentence: str


class TouchedOut(BaseModel):
    """One kind of change and the labels on its nodes."""

    kind: str
    num_changes: int
    proposed: int
    confirmed: int
    rejected: int
    unsure: int
    effect: str


class SideOut(BaseModel):
    """One attribute of a pair."""

    key: str
    polarity: Literal["positive", "negative"]


class MovedOut(BaseModel):
    """A name or definition that stands at another attribute than when labels were made for it.

    `choice` is null until an edit or the publication says whether the labels stay or follow.
    """

    part: Literal["name", "definition"]
    text: str
    source: SideOut = Field(serialization_alias="from")
    target: SideOut = Field(serialization_alias="to")
    now: str
    labels: int
    choice: Literal["keep", "follow"] | None
    sentence: str


class DimensionMovedOut(_Out):
    """A name that stands at another dimension than in the last version, with labels below the first one."""

    name: str
    source: str = Field(serialization_alias="from")
    target: str = Field(serialization_alias="to")
    num_labels: int = Field(serialization_alias="labels")
    sentence: str


class SuccessionOut(BaseModel):
    """What becomes of the labels of pairs that others took the place of.

    `disputed` counts images where merged labels disagree, and are asked about; `return` is a change that
    was published and taken back since. With `more` images and disputes are at least so many: where a pair has very many
    labels they are not read to the end.
    """

    kind: Literal["merge", "split", "redefine", "return"]
    old: list[str]
    new: list[str]
    proposed: int
    confirmed: int
    rejected: int
    unsure: int
    images: int
    disputed: int
    more: bool
    sentence: str


class LabelledImageOut(BaseModel):
    """An image with labels of a node; `labels` has side and state of them, each once."""

    id: int
    name: str
    labels: list[str]


class LabelledImagesOut(BaseModel):
    """Images with labels of a node, by id."""

    items: list[LabelledImageOut]
    next: int | None


class PreviewOut(BaseModel):
    """What publishing the working criteria would mean."""

    working_revision: int
    can_publish: bool
    problems: list[ProblemOut]
    changes: list[ChangedOut]
    touched: list[TouchedOut]
    moved: list[MovedOut]
    dimensions_moved: list[DimensionMovedOut]
    succession: list[SuccessionOut]


class PieceOut(_Out):
    """Some words of a text; `changed` where the other version has others there."""

    text: str
    changed: bool


class ComparedFieldOut(_Out):
    """One field that differs, as it was and as it is."""

    name: str
    before: list[PieceOut]
    after: list[PieceOut]


class ComparedNodeOut(_Out):
    """A node that differs; titles and paths are null where it is not there, and its key "" for the criteria."""

    key: str
    kinds: list[str]
    sentences: list[str]
    title_before: str | None
    title_after: str | None
    path_before: list[str] | None
    path_after: list[str] | None
    fields: list[ComparedFieldOut]


class ComparisonOut(_Out):
    """The nodes that differ, and how many changes there are of each kind."""

    nodes: list[ComparedNodeOut]
    numbers: dict[str, int]


class ForeseenChangeOut(_Out):
    """A change that an import would make at a node ("" for the criteria themselves)."""

    kind: str
    key: str
    part: str
    before: str | int | bool | list[str] | None
    after: str | int | bool | list[str] | None
    sentence: str


class ForeseenProblemOut(_Out):
    """A fault or a doubt that the checks would find then; errors stop a publication."""

    code: str
    severity: Literal["error", "warning"]
    key: str
    message: str


class ForeseenOut(_Out):
    """What an import would do, compared with the working revision `based_on`."""

    based_on: int
    changes: list[ForeseenChangeOut]
    problems: list[ForeseenProblemOut]
    touched: list[TouchedOut]
    succession: list[SuccessionOut]


class ChangedByBothOut(_Out):
    """A text that the project and a newer edition both changed: what it was, and what each made of it.

    `key` is the node's ("" for the criteria themselves), `part` names the text; `place` is both together.
    """

    place: str
    key: str
    part: str
    was: str
    ours: str
    theirs: str


class EditionOut(_Out):
    """A newer edition of the shipped criteria: what taking it over would change. All is null where the criteria
    are of none, or of the newest. Of the texts in `both` the project's words are kept where nobody says
    otherwise.
    """

    edition: int | None
    newest: int | None
    foreseen: ForeseenOut | None
    both: list[ChangedByBothOut] = []


class EditionIn(BaseModel):
    """Taking the newest edition over. `based_on` is the working revision that was shown; `theirs` are the places
    of those texts of `both` that are to be the edition's.
    """

    model_config = ConfigDict(extra="forbid")

    based_on: int
    theirs: list[str] = Field(default=[], max_length=5000)
    names_moved: Literal["keep", "follow"] | None = None


def show_touched(each: Touched) -> TouchedOut:
    """One kind of change as JSON."""
    return TouchedOut(
        kind=each.kind,
        num_changes=each.num_changes,
        proposed=each.labels.proposed,
        confirmed=each.labels.confirmed,
        rejected=each.labels.rejected,
        unsure=each.labels.unsure,
        effect=each.effect,
    )


def show_succession(each: Effect) -> SuccessionOut:
    """What becomes of the labels of some pairs as JSON."""
    return SuccessionOut.model_validate(
        {
            "kind": each.kind,
            "old": [node.key for node in each.old],
            "new": [node.key for node in each.new],
            "proposed": each.labels.proposed,
            "confirmed": each.labels.confirmed,
            "rejected": each.labels.rejected,
            "unsure": each.labels.unsure,
            "images": each.num_images,
            "disputed": each.num_disputed,
            "more": each.is_more,
            "sentence": each.sentence,
        }
    )
