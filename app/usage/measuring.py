"""How the attributes of a node are used: labels by state, what people made of the agent's, what audits say.

Every question is about the labels of the pairs at or below one node, never about all labels of a project.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ARRAY, BigInteger, and_, any_, func, literal, select
from sqlalchemy.orm import Session, aliased

from app.audits.by_attribute import find_tallies_of
from app.audits.scoring import Score, Tally, in_percent, score
from app.criteria.models import Node
from app.criteria.reading import find_nodes, get_node
from app.images.applicability import applies
from app.images.inclusion import left_out
from app.labels.models import Label
from app.projects.models import Project
from app.versions.tree_rows import pairs_below
from taxonomy.tree import POLARITIES, Polarity


@dataclass(frozen=True, slots=True)
class LabelUsage:
    """Labels of one side of a pair, or of that side of all pairs below a dimension. `images` are those
    with a label that is proposed or confirmed.

    `agent_confirmed` and `agent_rejected` are labels of agents that people decided about; of the rejected
    ones `agent_flipped` had the other side of the pair confirmed in their place.
    """

    proposed: int = 0
    confirmed: int = 0
    rejected: int = 0
    images: int = 0
    agent_confirmed: int = 0
    agent_rejected: int = 0
    agent_flipped: int = 0

    @property
    def agent_decided(self) -> int:
        """Labels of agents that people decided about."""
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
    """What participants of closed audits said about the agents' labels of one side. `judged_twice` counts
    the labels that two or more of them decided about.
    """

    score: Score
    judged_twice: int

    @property
    def answers(self) -> int:
        """Answers that decide: appears, or does not."""
        return self.score.appears + self.score.does_not_appear

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
    labels = _count_labels(db, below)
    tallies = find_tallies_of(db, project, below)

    def side(polarity: Polarity) -> SideUsage:
        of_side = [each for each in tallies if each.polarity == polarity]
        # The draws follow from the node, so that the same answers give the same interval each time.
        audited = _audited(of_side, seed=node.id)
        return SideUsage(polarity, labels.get(polarity, LabelUsage()), audited)

    positive, negative = (side(polarity) for polarity in POLARITIES)
    return Usage(node, len(below), positive, negative)


def _count_labels(db: Session, node_ids: Iterable[int]) -> dict[str, LabelUsage]:
    """Labels by polarity, in one question that the index on `node_id` answers."""
    wanted = literal(sorted(node_ids), ARRAY(BigInteger))
    other = aliased(Label)
    is_agents = Label.source == "agent"
    is_refused = is_agents & (Label.state == "rejected")
    # At most one: an image has one label of each side. The nodes are named for both, or the planner
    # may read every confirmed label there is.
    flipped = and_(
        is_refused,
        other.node_id == any_(wanted),
        other.node_id == Label.node_id,
        other.image_id == Label.image_id,
        other.polarity != Label.polarity,
        other.state == "confirmed",
    )
    rows = db.execute(
        select(
            Label.polarity,
            func.count().filter(Label.state == "proposed"),
            func.count().filter(Label.state == "confirmed"),
            func.count().filter(Label.state == "rejected"),
            func.count(Label.image_id.distinct()).filter(Label.state != "rejected"),
            func.count().filter(is_agents & (Label.state == "confirmed")),
            func.count().filter(is_refused),
            func.count(other.id),
        )
        .outerjoin(other, flipped)
        .where(
            Label.node_id == any_(wanted),
            Label.image_id.not_in(left_out()),
            applies(Label.image_id, Label.node_id),
        )
        .group_by(Label.polarity)
    )
    return {polarity: LabelUsage(*numbers) for polarity, *numbers in rows}


def _audited(tallies: list[Tally], *, seed: int) -> Audited | None:
    decided = [each.appears + each.does_not_appear for each in tallies]
    if not sum(decided):
        return None
    return Audited(score(tallies, seed=seed), sum(each > 1 for each in decided))
