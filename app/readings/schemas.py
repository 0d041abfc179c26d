"""Second readings as JSON."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.agreement import Agreement
from app.audits.decoys import MOST_PERCENT
from app.errors import Conflict
from app.labels.reading import ImageLabels
from app.readings.answering import Said
from app.readings.asking import Stand
from app.readings.comparing import Comparison
from taxonomy.tree import Polarity

Answer = Literal["confirmed", "rejected", "unsure"]


class Asked(BaseModel):
    """Base of what programs send: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class AskIn(Asked):
    """Which share of a filter's finished images is to be read a second time; the seed decides which."""

    show: str = "done"
    words: str = Field(default="", max_length=200)
    percent: float = Field(gt=0, le=100)
    seed: int = Field(default=0, ge=0, lt=2**31)
    decoy_percent: int = Field(default=20, ge=0, le=MOST_PERCENT)


class ReadingOut(BaseModel):
    """A second reading, and how many of its images are read, and settled."""

    id: int
    show: str
    words: str
    percent: float
    seed: int
    decoy_percent: int
    images: int
    read: int
    settled: int
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, stand: Stand) -> "ReadingOut":
        """The same as JSON."""
        own = stand.reading
        return cls.model_validate(
            {
                "images": own.num_images,
                "read": stand.num_read,
                "settled": stand.num_settled,
                "asked_by": stand.asker,
                **{
                    name: getattr(own, name)
                    for name in ("id", "show", "words", "percent", "seed", "decoy_percent")
                },
                "asked_at": own.asked_at,
                "ended_at": own.ended_at,
            }
        )


class ReadingsOut(BaseModel):
    """A page of second readings, newest first; `next` goes into `before` for the next page."""

    items: list[ReadingOut]
    next: int | None


class CoefficientOut(BaseModel):
    """A coefficient of agreement with its 95 % interval; null where nothing can be said."""

    value: float | None
    interval: tuple[float, float] | None


class AgreementRowOut(BaseModel):
    """Agreement about all items, those of a root dimension, of a polarity, or of both."""

    root_dimension: str | None
    polarity: Polarity | None
    items: int
    images: int
    agreed: int
    kappa: CoefficientOut
    alpha: CoefficientOut
    ac1: CoefficientOut


class AgentsRightOut(BaseModel):
    """Of what agents had proposed and the second reader decided blind, how much the reader confirmed."""

    share: float | None
    interval: tuple[float, float] | None
    confirmed: int
    decided: int
    images: int


class AgreementOut(BaseModel):
    """How far both readings agree. Intervals take the items of one image together. `left_out` was asked, but one
    was unsure, gave no answer or had seen suggestions; `added` is what the second reader set of themselves.
    """

    images: int
    left_out: int
    added: int
    differences: int
    agents_right: AgentsRightOut
    rows: list[AgreementRowOut]


def show_agreement(found: Comparison) -> AgreementOut:
    def coefficient(each: Agreement) -> CoefficientOut:
        return CoefficientOut(value=each.value, interval=each.interval)

    return AgreementOut(
        images=found.images,
        left_out=found.left_out,
        added=found.added,
        differences=found.differences,
        agents_right=AgentsRightOut.model_validate(found.agents, from_attributes=True),
        rows=[
            AgreementRowOut(
                root_dimension=row.root,
                polarity=row.polarity,
                items=row.items,
                images=row.images,
                agreed=row.agreed,
                kappa=coefficient(row.kappa),
                alpha=coefficient(row.alpha),
                ac1=coefficient(row.ac1),
            )
            for row in found.rows
        ],
    )


class NextIn(Asked):
    """Which image one is at; the next one is looked for behind it."""

    besides: int = Field(default=0, ge=0)


class NextOut(BaseModel):
    """The image of a reading that is kept for who asks, null where none waits for them."""

    read: int | None


class QuestionOut(BaseModel):
    """An attribute that is asked about; `state` is the answer so far, null where there is none. `answers` is what
    both readings say, where somebody is to settle that they differ.
    """

    key: str
    polarity: Polarity
    name: str
    state: Answer | None
    answers: list[str]


class QuestionsOut(BaseModel):
    """What is asked about an image."""

    read: int
    image_id: int
    questions: list[QuestionOut]


class AnswerIn(Asked):
    """An answer; `withdrawn` takes it back. What else the labelling page sends is of no account here."""

    state: Literal["confirmed", "rejected", "unsure", "withdrawn"]
    operation_id: UUID = Field(description="Made by the client; sending it again is harmless.")
    sitting: UUID | None = None
    suggestion_visible: bool = False
    based_on: int = 0


class UndoIn(Asked):
    """Which action is taken back: its operation id."""

    operation_id: UUID
    undoes: UUID | None = None
    sitting: UUID | None = None

    @property
    def named(self) -> UUID:
        """The action that is taken back. Raises Conflict where none is named."""
        if self.undoes is None:
            raise Conflict("You have done nothing on this page yet that could be taken back.")
        return self.undoes


class DoneIn(Asked):
    """Whether all is answered that one can answer."""

    done: bool
    operation_id: UUID | None = None
    sitting: UUID | None = None


class DoneOut(BaseModel):
    """Whether the image is read, or settled."""

    done: bool


class AnsweredOut(BaseModel):
    """What an answer did. `state` is null where it was taken back; of a mark that was taken back `key` is null, too."""

    image_id: str = Field(description="What the page calls the image.")
    key: str | None
    polarity: str | None
    before: str | None
    state: str | None
    revision: int
    contradictions: list[str]


def show_answer(sheet_id: str, said: Said | None) -> AnsweredOut:
    return AnsweredOut(
        image_id=sheet_id,
        key=said.key if said else None,
        polarity=said.polarity if said else None,
        before=said.before if said else None,
        state=said.answer if said else None,
        revision=0,
        contradictions=[],
    )


def show_questions(read_id: int, labels: ImageLabels) -> QuestionsOut:
    return QuestionsOut(
        read=read_id,
        image_id=labels.image.id,
        questions=[
            QuestionOut.model_validate(
                {
                    "key": row.key,
                    "polarity": row.polarity,
                    "name": row.name,
                    "state": None if row.state == "proposed" else row.state,
                    "answers": list(row.answers),
                }
            )
            for row in labels.rows
        ],
    )
