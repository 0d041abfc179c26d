"""Answers of models that were paid for, kept so that nobody pays for them twice."""

from sqlalchemy import delete, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.agents.models import AgentAnswer, AgentRunImage
from app.images.inclusion import is_there
from app.images.models import Image


def find_answers(db: Session, image_id: int) -> dict[str, str]:
    """All answers about an image that are kept, by the hash of what was asked."""
    rows = db.execute(
        select(AgentAnswer.key, AgentAnswer.answer).where(AgentAnswer.image_id == image_id)
    )
    return {row.key: row.answer for row in rows}


def keep_answer(db: Session, image_id: int, key: str, answer: str) -> None:
    """Keep an answer; the first one stays."""
    # Not of an image that was erased while the model looked at it.
    values = select(Image.id, literal(key), literal(answer)).where(Image.id == image_id, is_there())
    columns = ["image_id", "key", "answer"]
    db.execute(insert(AgentAnswer).from_select(columns, values).on_conflict_do_nothing())


def forget_image(db: Session, image: Image) -> None:
    """Forget what agents wrote about an image that is erased. What a run did with it stays: it holds
    nothing of the picture.
    """
    db.execute(delete(AgentAnswer).where(AgentAnswer.image_id == image.id))
    db.execute(
        update(AgentRunImage)
        .where(AgentRunImage.image_id == image.id)
        .values(notes=None, found=None)
    )
