"""Answers of models that were paid for, kept so that nobody pays for them twice."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import delete, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.agents.models import AgentAnswer, AgentRunImage
from app.images.inclusion import is_there
from app.images.models import Image


@dataclass(frozen=True)
class Paid:
    """What answers took: requests (refused ones included), tokens read and written, cost by the operator's prices."""

    requests: int
    tokens_in: int
    tokens_out: int
    cost: Decimal


def find_answers(db: Session, image_id: int) -> dict[str, str]:
    """All answers about an image that are kept, by the hash of what was asked."""
    rows = db.execute(
        select(AgentAnswer.key, AgentAnswer.answer).where(AgentAnswer.image_id == image_id)
    )
    return {row.key: row.answer for row in rows}


def find_paid(db: Session, image_id: int, run_id: int) -> Paid:
    """What a run has paid for answers about an image that are kept."""
    answers = db.execute(
        select(
            AgentAnswer.requests, AgentAnswer.tokens_in, AgentAnswer.tokens_out, AgentAnswer.cost
        ).where(AgentAnswer.image_id == image_id, AgentAnswer.agent_run_id == run_id)
    ).all()
    return Paid(
        sum(each.requests for each in answers),
        sum(each.tokens_in for each in answers),
        sum(each.tokens_out for each in answers),
        sum((each.cost for each in answers), Decimal(0)),
    )


def keep_answer(
    db: Session, image_id: int, key: str, answer: str, *, run_id: int, paid: Paid
) -> None:
    """Keep an answer that a run has paid for; the first one stays."""
    # Not of an image that was erased while the model looked at it.
    kept = {"key": key, "answer": answer, "agent_run_id": run_id, **vars(paid)}
    values = select(Image.id, *(literal(each) for each in kept.values()))
    values = values.where(Image.id == image_id, is_there())
    columns = ["image_id", *kept]
    db.execute(insert(AgentAnswer).from_select(columns, values).on_conflict_do_nothing())


def forget_answer(db: Session, image_id: int, key: str) -> None:
    """Forget an answer that could not be used."""
    db.execute(delete(AgentAnswer).where(AgentAnswer.image_id == image_id, AgentAnswer.key == key))


def forget_image(db: Session, image: Image) -> None:
    """Forget what agents wrote about an image that is erased. What a run did with it stays: it holds
    nothing of the picture.
    """
    db.execute(delete(AgentAnswer).where(AgentAnswer.image_id == image.id))
    db.execute(
        update(AgentRunImage)
        .where(AgentRunImage.image_id == image.id)
        .values(notes=None, found=None, sure=None)
    )
