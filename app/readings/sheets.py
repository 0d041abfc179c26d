"""What a second reader is asked on the labelling page, and what somebody who settles is."""

import hashlib
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import Node
from app.images.models import Image
from app.labels.reading import ImageLabels, Question, lay_out
from app.projects.models import Project
from app.readings.answering import Compared, compare
from app.readings.models import ReadImage
from app.readings.settling import find_settlements
from taxonomy.tree import Polarity

# What nobody set counts as rejected; other words for it would tell which reading was the first.
WORDS = {"confirmed": "applies", "rejected": "does not apply", "unsure": "unsure"}


def reading_sheet(
    db: Session, project: Project, read: ReadImage, image: Image, person: Person
) -> ImageLabels:
    """Everything that the second reader is asked and has added, with their own answers and nobody else's."""
    compared = compare(db, [read.id])
    nodes = _nodes(db, compared)
    return lay_out(
        db,
        project,
        image,
        [
            Question(
                nodes[each.node_id],
                _side(each.polarity),
                each.second or "proposed",
                is_own=not each.is_asked,
            )
            for each in compared
        ],
        person,
    )


def settling_sheet(
    db: Session, project: Project, read: ReadImage, image: Image, person: Person
) -> ImageLabels:
    """Where both readings of an image differ, with what each says. Which of them is A is left to chance, the
    same for the whole image, so that nothing tells who said it.
    """
    differences = [each for each in compare(db, [read.id]) if each.differs]
    decided = find_settlements(db, read)
    nodes = _nodes(db, differences)
    questions = []
    for each in differences:
        settled = decided.get((each.node_id, each.polarity))
        both = (WORDS[each.first or "rejected"], WORDS[each.second or "rejected"])
        questions.append(
            Question(
                nodes[each.node_id],
                _side(each.polarity),
                settled.decision if settled else "proposed",
                answers=both[::-1] if _is_swapped(read) else both,
            )
        )
    return lay_out(db, project, image, questions, person)


def _is_swapped(read: ReadImage) -> bool:
    return hashlib.sha256(f"settling:{read.id}:{read.image_id}".encode()).digest()[0] % 2 == 1


def _side(polarity: str) -> Polarity:
    return "positive" if polarity == "positive" else "negative"


def _nodes(db: Session, compared: Iterable[Compared]) -> dict[int, Node]:
    wanted = {each.node_id for each in compared}
    return {node.id: node for node in db.scalars(select(Node).where(Node.id.in_(wanted)))}
