"""How the attributes of a node are used: labels by state, what people made of the agent's, what audits say.

Every question is about the labels of the pairs at or below one node, never about all labels of a project.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ARRAY, BigInteger, ColumnElement, any_, cast, func, literal, select
from sqlalchemy.orm import Session, aliased

from app.audits.gathering import gather_answers_about
from app.audits.scoring import Answers, Score, score
from app.criteria.models import Node
from app.criteria.reading import find_nodes, get_node
from app.images.applicability import applies
from app.images.inclusion import left_out
from app.intervals import in_percent
from app.labels.models import STATES, Label, LabelCount
from app.projects.models import Project
from app.versions.tree_rows import pairs_below
from taxonomy.tree import POLARITIES, Polarity

# Beyond so many labels a number is told from kept counts alone.
MOST_LOOKED_AT = 5_000


@dataclass(frozen=True, slots=True)
class LabelUsage:
    """Labels of one side of a pair, or of that side of all pairs below a dimension. `images` are those
    with a label that is proposed or confirmed; where `images_at_least`, there may be more of them.

    `agent_confirmed` and `agent_rejected` are labels of agents that people decided about; of the rejected
    ones `agent_flipped` had the other side of the pair confirmed in their place (None: too many to look at each).
    """

    proposed: int = 0
    confirmed: int = 0
    rejected: int = 0
    unsure: int = 0
    images: int = 0
    images_at_least: bool = False
    agent_confirmed: int = 0
    agent_rejected: int = 0
    agent_flipped: int | None = 0

    @property
    def agent_decided(self) -> int:
        """Labels of agents that people decided about, one by one."""
        return self.agent_confirmed + self.agent_rejected

    @property
    def disagreement(self) -> float | None:
        """The share of the agents' labels that people rejected, of those they decided about."""
        return self.agent_rejected / self.agent_decided if self.agent_decided else None

    @property
    def disagreement_words(self) -> str:
        """The same in percent, with the decimals that the decisions carry."""
        return in_percent(self.disagreement, self.agent_decided)


@dataclass(frozen=True, slots=True)
class Audited:
    """What participants of closed audits said about the agents' labels of one side."""

    score: Score

    @property
    def judged_twice(self) -> int:
        """The labels that two or more of them decided about."""
        return self.score.kappa.items

    @property
    def answers(self) -> int:
        """Answers that decide: appears, or does not."""
        return self.score.decided

    @property
    def disagreement(self) -> float | None:
        """Of all pairs of participants who decided about the same label, the share who said different things."""
        agreement = self.score.agreement
        return None if agreement is None else 1 - agreement

    @property
    def disagreement_words(self) -> str:
        """The same in percent, with the decimals that so many labels carry."""
        return in_percent(self.disagreement, self.judged_twice)


@dataclass(frozen=True, slots=True)
class SideUsage:
    """How one side is used; `audited` is None where no closed audit has an answer about it."""

    polarity: Polarity
    labels: LabelUsage
    audited: Audited | None


@dataclass(frozen=True, slots=True)
class Usage:
    """How a pair, or all pairs below a dimension, are used: the positive and the negative side."""

    node: Node
    num_pairs: int
    positive: SideUsage
    negative: SideUsage

    @property
    def sides(self) -> tuple[SideUsage, SideUsage]:
        """Both sides, the positive one first."""
        return self.positive, self.negative


def measure_usage(db: Session, project: Project, key: str) -> Usage:
    """How a pair is used, or all pairs below a dimension, as of now. Raises NotFound."""
    node = get_node(db, project, key)
    below = {node.id} if node.kind == "pair" else pairs_below(node, find_nodes(db, project))
    labels = _count_labels(db, project, below)
    answers = gather_answers_about(db, project, below)

    def side(polarity: Polarity) -> SideUsage:
        return SideUsage(polarity, labels.get(polarity, LabelUsage()), _audited(answers[polarity]))

    positive, negative = (side(polarity) for polarity in POLARITIES)
    return Usage(node, len(below), positive, negative)


def _count_labels(
    db: Session, project: Project, node_ids: Collection[int]
) -> dict[str, LabelUsage]:
    """Labels by polarity. What is kept by pair is read; images of several pairs, and labels whose other side
    was confirmed, are looked at one by one where they are not too many.
    """
    wanted = literal(sorted(node_ids), ARRAY(BigInteger))
    found: dict[str, LabelUsage] = {}
    for polarity, of_pairs in _kept(db, project, wanted).items():
        sums = [sum(numbers) for numbers in zip(*of_pairs, strict=True)]
        proposed, confirmed, rejected, unsure, agent_confirmed, agent_rejected = sums
        images, at_least = _count_images(db, wanted, polarity, of_pairs)
        found[polarity] = LabelUsage(
            proposed=proposed,
            confirmed=confirmed,
            rejected=rejected,
            unsure=unsure,
            images=images,
            images_at_least=at_least,
            agent_confirmed=agent_confirmed,
            agent_rejected=agent_rejected,
            agent_flipped=_count_flipped(db, wanted, polarity)
            if agent_rejected <= MOST_LOOKED_AT
            else None,
        )
    return found


def _kept(
    db: Session, project: Project, wanted: ColumnElement[Sequence[int]]
) -> dict[str, list[tuple[int, ...]]]:
    """Kept counts of each pair by polarity: proposed, confirmed, rejected, unsure, and of agents those that people
    confirmed and rejected.
    """
    # What was decided in bulk says nothing of the agent: nobody looked at each.
    is_agents = (LabelCount.source == "agent") & ~LabelCount.in_bulk
    conditions = (
        *(LabelCount.state == each for each in STATES),
        *(is_agents & (LabelCount.state == each) for each in ("confirmed", "rejected")),
    )
    sums = [
        cast(func.coalesce(func.sum(LabelCount.num).filter(each), 0), BigInteger)
        for each in conditions
    ]
    rows = db.execute(
        select(LabelCount.polarity, *sums)
        .where(
            LabelCount.project_id == project.id,
            LabelCount.node_id == any_(wanted),
            ~LabelCount.lacking,
        )
        .group_by(LabelCount.polarity, LabelCount.node_id)
    )
    found: dict[str, list[tuple[int, ...]]] = {}
    for polarity, *numbers in rows:
        found.setdefault(polarity, []).append(tuple(numbers))
    return found


def _count_images(
    db: Session,
    wanted: ColumnElement[Sequence[int]],
    polarity: str,
    of_pairs: Sequence[tuple[int, ...]],
) -> tuple[int, bool]:
    """Images with a label of one side that stands, and whether there may be more of them."""
    # An image has one label of each side of a pair.
    standing = [proposed + confirmed for proposed, confirmed, *_ in of_pairs]
    if len(standing) == 1 or sum(standing) > MOST_LOOKED_AT:
        return max(standing), len(standing) > 1
    images = db.scalar(
        select(func.count(Label.image_id.distinct())).where(
            Label.node_id == any_(wanted),
            Label.polarity == polarity,
            Label.state.in_(("proposed", "confirmed")),
            Label.image_id.not_in(left_out()),
            applies(Label.image_id, Label.node_id),
        )
    )
    return images or 0, False


def _count_flipped(db: Session, wanted: ColumnElement[Sequence[int]], polarity: str) -> int:
    other = aliased(Label)
    is_other_side = (
        (other.image_id == Label.image_id)
        & (other.node_id == Label.node_id)
        & (other.polarity != Label.polarity)
        & (other.state == "confirmed")
    )
    flipped = db.scalar(
        select(func.count())
        .select_from(Label)
        .join(other, is_other_side)
        .where(
            Label.node_id == any_(wanted),
            Label.polarity == polarity,
            Label.state == "rejected",
            Label.source == "agent",
            Label.bulk_action_id.is_(None),
            Label.image_id.not_in(left_out()),
            applies(Label.image_id, Label.node_id),
        )
    )
    return flipped or 0


def _audited(answers: Answers) -> Audited | None:
    found = score(answers)
    return Audited(found) if found.decided else None
