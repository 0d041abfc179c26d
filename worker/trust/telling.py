"""What was learned, as people are told it: from what, how far it means what it says, and by run and attribute."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.trust.schemas import (
    CurveOut,
    MemberOut,
    PatternOut,
    ReportOut,
    SideTrustOut,
)
from taxonomy.tree import Criteria
from worker.trust.answers import Heard
from worker.trust.learning import SAID, Model, Statement
from worker.trust.members import Members
from worker.trust.people import Reals
from worker.trust.reliability import Curve, Judged, curve

# So many statements tell how sure an attribute is.
MOST_FOR_INTERVAL = 30
# How often people might say yes to what is not there, or no to what is, where nobody knows: to show what hangs on it.
SUPPOSED = 0.1


@dataclass(frozen=True, slots=True)
class Told:
    """A run that was learned about, by its number, agent and version."""

    run: int
    agent: str
    agent_version: str


def tell(
    heard: Heard,
    model: Model | None,
    some: Sequence[Statement],
    members: Members,
    runs: Sequence[Told],
    criteria: Criteria,
    *,
    least_labels: int,
) -> ReportOut:
    """The report. `some` are statements of images evenly drawn from all; without a model nothing was learned."""
    statements = heard.evidence.statements
    likely = model.believe(some) if model else np.zeros(0)
    return ReportOut(
        sources=dict(heard.sources),
        unused_corrections=heard.unused_corrections,
        labels=len(statements),
        people=len(np.unique(heard.people)),
        is_enough=model is not None,
        least_labels=least_labels,
        decoys=len(heard.decoys.items),
        yes_rate=_yes_rate(heard),
        miss_rate=heard.known.miss,
        decoys_there=heard.known.decoys_there,
        if_readier=_if_readier(heard),
        if_overlooked=_if_overlooked(heard),
        curve=_out(curve(_judged(heard, model.unseen[heard.labels]))) if model else _out(None),
        members=[
            _member(place, told, heard, some, likely if model else None)
            for place, told in enumerate(runs)
        ],
        patterns=_patterns(heard, some, likely if model else None),
        sides=_sides(heard, model, some, likely, members, criteria) if model else [],
    )


def _yes_rate(heard: Heard) -> float | None:
    """How readily people say yes to what is not there, in the mean over the answers about labels."""
    if not heard.known.is_yes_known or not len(heard.yes_rate):
        return None
    return float(heard.yes_rate.mean())


def _if_readier(heard: Heard) -> float | None:
    """What 50 % would be if people said yes to `SUPPOSED` of what is not there; None where it is known how readily."""
    return None if heard.known.is_yes_known else max(0.0, (0.5 - SUPPOSED) / (1 - SUPPOSED))


def _if_overlooked(heard: Heard) -> float | None:
    """What 50 % would be if people overlooked `SUPPOSED` of what is there; None where it is known how much they do.

    Of what holds with p, people who overlook none say yes to p + (1 - p) y; of those who overlook m the same share of
    yes means p (1 - y) / (1 - y - m).
    """
    if heard.known.miss is not None:
        return None
    yes = _yes_rate(heard) or 0.0
    telling = 1 - yes - SUPPOSED
    return min(1.0, 0.5 * (1 - yes) / telling) if telling > 0 else 1.0


def _out(found: Curve | None) -> CurveOut:
    if found is None:
        return CurveOut(bins=[], answers=0, error=None, by_chance=None)
    return CurveOut.model_validate(found)


def _judged(heard: Heard, said: Reals, chosen: np.typing.NDArray[np.bool_] | None = None) -> Judged:
    some = np.ones(len(heard.labels), dtype=np.bool_) if chosen is None else chosen
    return Judged(
        said[some],
        heard.yes[some].astype(np.float64),
        heard.yes_rate[some],
        heard.miss_rate[some],
        heard.images[some],
        heard.people[some],
    )


def _member(
    place: int, told: Told, heard: Heard, some: Sequence[Statement], likely: Reals | None
) -> MemberOut:
    """How a run stands: the curve of its own confidence, and how often what it says holds."""
    own = [each.confidence[place] for each in heard.evidence.statements]
    says = np.array([each.pattern[place] == SAID for each in heard.evidence.statements], bool)
    sure = np.array([each is not None for each in own], bool) & says
    confidence = np.array([each or 0.0 for each in own])
    everywhere = np.array([each.pattern[place] == SAID for each in some], bool)
    trust = float(likely[everywhere].mean()) if likely is not None and everywhere.any() else None
    return MemberOut(
        run=told.run,
        agent=told.agent,
        agent_version=told.agent_version,
        answers=int(says[heard.labels].sum()) if len(heard.labels) else 0,
        trust=trust,
        own=_out(curve(_judged(heard, confidence[heard.labels], sure[heard.labels])))
        if len(heard.labels)
        else _out(None),
    )


def _patterns(heard: Heard, some: Sequence[Statement], likely: Reals | None) -> list[PatternOut]:
    answers = Counter(heard.evidence.statements[int(each)].pattern for each in heard.labels)
    numbers = Counter(each.pattern for each in some)
    found = []
    for pattern in sorted({*answers, *numbers}, key=lambda each: (-numbers[each], each)):
        own = np.array([each.pattern == pattern for each in some], bool)
        trust = float(likely[own].mean()) if likely is not None and own.any() else None
        share = numbers[pattern] / len(some) if some else 0.0
        found.append(PatternOut(said=pattern, answers=answers[pattern], share=share, trust=trust))
    return found


def _sides(
    heard: Heard,
    model: Model,
    some: Sequence[Statement],
    likely: Reals,
    members: Members,
    criteria: Criteria,
) -> list[SideTrustOut]:
    """By run and attribute, in the order of the criteria."""
    order = {number: place for place, number in enumerate(members.places)}
    found = []
    for at, run in enumerate(members.runs):
        answers = Counter(
            each.side
            for each in (heard.evidence.statements[int(label)] for label in heard.labels)
            if each.pattern[at] == SAID
        )
        places: defaultdict[int, list[int]] = defaultdict(list)
        for place, each in enumerate(some):
            if each.pattern[at] == SAID:
                places[int(str(each.side))].append(place)
        for side in sorted(places, key=lambda each: order[each]):
            own = places[side]
            low, high = model.between([some[each] for each in own[:MOST_FOR_INTERVAL]])
            stands = members.places[side]
            found.append(
                SideTrustOut(
                    run=run,
                    key=stands.key,
                    polarity=stands.polarity,
                    name=criteria.pair(stands.key).attribute(stands.polarity).name,
                    root=criteria.dimension(stands.root).name,
                    answers=answers[side],
                    trust=float(likely[own].mean()),
                    interval=(float(low.mean()), float(high.mean())),
                )
            )
    return found
