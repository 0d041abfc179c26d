"""How nodes are used, as JSON."""

from pydantic import BaseModel

from app.usage.measuring import Audited, LabelUsage, SideUsage, Usage


class AuditedOut(BaseModel):
    """What participants of closed audits said. `accuracy` is appears / (appears + does_not_appear), `interval`
    its 95 % interval; `disagreement` is the share of pairs of participants who said different things of the
    same label, over the `judged_twice` labels that two or more decided about.
    """

    accuracy: float | None
    interval: tuple[float, float] | None
    appears: int
    does_not_appear: int
    cannot_tell: int
    images: int
    judged_twice: int
    disagreement: float | None

    @classmethod
    def of(cls, audited: Audited) -> "AuditedOut":
        """The same as JSON."""
        score = audited.score
        return cls(
            accuracy=score.accuracy,
            interval=score.interval,
            appears=score.appears,
            does_not_appear=score.does_not_appear,
            cannot_tell=score.cannot_tell,
            images=score.images,
            judged_twice=audited.judged_twice,
            disagreement=audited.disagreement,
        )


class SideUsageOut(BaseModel):
    """Labels of one side by state, and the images with one that is proposed or confirmed (`images_at_least`:
    there may be more). `disagreement` is the share of the agents' labels that people rejected, of the
    `agent_decided` they decided about; `agent_flipped` of those have the other side confirmed, null where they
    are too many to look at each. `audited` is null where no closed audit has an answer.
    """

    proposed: int
    confirmed: int
    rejected: int
    unsure: int
    images: int
    images_at_least: bool
    agent_decided: int
    agent_rejected: int
    agent_flipped: int | None
    disagreement: float | None
    audited: AuditedOut | None

    @classmethod
    def of(cls, side: SideUsage) -> "SideUsageOut":
        """The same as JSON."""
        labels: LabelUsage = side.labels
        return cls(
            proposed=labels.proposed,
            confirmed=labels.confirmed,
            rejected=labels.rejected,
            unsure=labels.unsure,
            images=labels.images,
            images_at_least=labels.images_at_least,
            agent_decided=labels.agent_decided,
            agent_rejected=labels.agent_rejected,
            agent_flipped=labels.agent_flipped,
            disagreement=labels.disagreement,
            audited=AuditedOut.of(side.audited) if side.audited else None,
        )


class UsageOut(BaseModel):
    """How a pair is used, or the pairs below a dimension together."""

    key: str
    pairs: int
    positive: SideUsageOut
    negative: SideUsageOut

    @classmethod
    def of(cls, usage: Usage) -> "UsageOut":
        """The same as JSON."""
        return cls(
            key=usage.node.key,
            pairs=usage.num_pairs,
            positive=SideUsageOut.of(usage.positive),
            negative=SideUsageOut.of(usage.negative),
        )
