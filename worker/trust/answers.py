"""Turns blind answers into evidence: which of them count, by whom, and about what several runs say together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.trust.gathering import SOURCES, BlindAnswer
from worker.trust.learning import Evidence, Statement
from worker.trust.members import Members, Said
from worker.trust.people import Decoys, Rates, Reals, Whole, likelihoods, miss_rate, yes_rates

# Whoever leaves more than this unsaid of what agents say states what strikes them: mostly that it is there.
LEAST_DECIDED = 0.9


@dataclass(frozen=True, slots=True)
class Heard:
    """The answers that count, each with what it is about. `labels` numbers what was asked about: the place in
    `evidence`; `people` numbers who answered.
    """

    evidence: Evidence
    labels: Whole
    yes: np.typing.NDArray[np.bool_]
    people: Whole
    yes_rate: Reals
    miss_rate: Reals
    sources: Mapping[str, int]
    unused_corrections: int
    decoys: Decoys
    miss: float | None

    @property
    def images(self) -> Whole:
        """The image of each answer."""
        return self.evidence.images[self.labels]


def hear(answers: Sequence[BlindAnswer], said: Mapping[int, Said], members: Members) -> Heard:
    """What answers tell of what the members say. `said` is that of every image that was answered about."""
    decoys: dict[str, list[bool]] = {}
    about: list[tuple[BlindAnswer, Statement]] = []
    for answer in answers:
        if answer.side not in members.places or answer.image_id not in said:
            continue
        statement = members.statement(said[answer.image_id], answer.side)
        if "+" in statement.pattern:
            about.append((answer, statement))
        elif answer.is_decoy:
            decoys.setdefault(answer.person, []).append(answer.is_yes)
    thorough = _thorough(about, said, members)
    kept = [each for each in about if each[0].source != "correction" or each[0].person in thorough]
    heard = _together(kept, {who: Decoys(len(some), sum(some)) for who, some in decoys.items()})
    return replace(heard, unused_corrections=len(about) - len(kept))


def _thorough(
    about: Sequence[tuple[BlindAnswer, Statement]], said: Mapping[int, Said], members: Members
) -> set[str]:
    """Members who decided nearly all that agents say of the images on which they decided anything with suggestions
    hidden. Others leave unsaid what is not there, and what they do say would flatter agents.
    """
    decided = Counter(answer.person for answer, _ in about if answer.source == "correction")
    images = {
        (answer.person, answer.image_id) for answer, _ in about if answer.source == "correction"
    }
    asked: Counter[str] = Counter()
    for person, image_id in images:
        asked[person] += sum(1 for _ in members.statements(said[image_id]))
    return {person for person in decided if decided[person] >= LEAST_DECIDED * asked[person]}


def _together(kept: Sequence[tuple[BlindAnswer, Statement]], decoys: Mapping[str, Decoys]) -> Heard:
    numbers: dict[tuple[int, int], int] = {}
    statements: list[Statement] = []
    for answer, statement in kept:
        if numbers.setdefault((answer.image_id, answer.side), len(numbers)) == len(statements):
            statements.append(statement)
    labels = np.array([numbers[each.image_id, each.side] for each, _ in kept], dtype=np.int64)
    yes = np.array([each.is_yes for each, _ in kept], dtype=np.bool_)
    names = sorted({each.person for each, _ in kept})
    rates = yes_rates(decoys, names)
    yes_rate = np.array([rates[each.person] for each, _ in kept], dtype=np.float64)
    miss = miss_rate(labels, yes, yes_rate)
    known = [Rates(float(each), miss or 0.0) for each in yes_rate]
    _, if_true, if_false = likelihoods(labels, yes, known)
    images = np.array([image_id for image_id, _ in numbers], dtype=np.int64)
    sources = Counter(answer.source for answer, _ in kept)
    return Heard(
        Evidence(statements, if_true, if_false, images),
        labels,
        yes,
        np.array([names.index(each.person) for each, _ in kept], dtype=np.int64),
        yes_rate,
        np.array([each.miss for each in known], dtype=np.float64),
        {each: sources[each] for each in SOURCES},
        0,
        Decoys(
            sum(each.asked for each in decoys.values()), sum(each.yes for each in decoys.values())
        ),
        miss,
    )
