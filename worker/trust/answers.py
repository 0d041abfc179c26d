"""Turns blind answers into evidence: which of them count, by whom, and about what several runs say together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.trust.gathering import SOURCES, BlindAnswer
from worker.trust.learning import Evidence, Statement
from worker.trust.members import Members, Said
from worker.trust.people import Answers, Known, Reals, Whole, find_rates, likelihoods

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
    decoys: Answers
    known: Known

    @property
    def images(self) -> Whole:
        """The image of each answer."""
        return self.evidence.images[self.labels]


def hear(answers: Sequence[BlindAnswer], said: Mapping[int, Said], members: Members) -> Heard:
    """What answers tell of what the members say. `said` is that of every image that was answered about."""
    decoys: list[BlindAnswer] = []
    about: list[tuple[BlindAnswer, Statement]] = []
    for answer in answers:
        if answer.side not in members.places or answer.image_id not in said:
            continue
        statement = members.statement(said[answer.image_id], answer.side)
        if "+" in statement.pattern:
            about.append((answer, statement))
        elif answer.is_decoy:
            decoys.append(answer)
    thorough = _thorough(about, said, members)
    kept = [each for each in about if each[0].source != "correction" or each[0].person in thorough]
    heard = _together(kept, decoys)
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


def _together(
    kept: Sequence[tuple[BlindAnswer, Statement]], decoys: Sequence[BlindAnswer]
) -> Heard:
    numbers: dict[tuple[int, int], int] = {}
    statements: list[Statement] = []
    for answer, statement in kept:
        if numbers.setdefault((answer.image_id, answer.side), len(numbers)) == len(statements):
            statements.append(statement)
    names = sorted({each.person for each, _ in kept} | {each.person for each in decoys})
    about = _columns([each for each, _ in kept], names, numbers)
    tempted = _columns(decoys, names, {})
    patterns = np.unique([each.pattern for each in statements], return_inverse=True)[1]
    known = find_rates(about, patterns[about.items], tempted, len(names))
    rates = known.rates(about.people)
    _, if_true, if_false = likelihoods(about.items, about.yes, rates)
    sources = Counter(answer.source for answer, _ in kept)
    return Heard(
        Evidence(
            statements,
            if_true,
            if_false,
            np.array([image_id for image_id, _ in numbers], dtype=np.int64),
        ),
        about.items,
        about.yes,
        about.people,
        np.array([each.yes for each in rates], dtype=np.float64),
        np.array([each.miss for each in rates], dtype=np.float64),
        {each: sources[each] for each in SOURCES},
        0,
        tempted,
        known,
    )


def _columns(
    answers: Sequence[BlindAnswer], names: Sequence[str], numbers: dict[tuple[int, int], int]
) -> Answers:
    """Answers as columns; `numbers` are those of what they are about, and what is new gets the next."""
    places = {name: place for place, name in enumerate(names)}
    items = [numbers.setdefault((each.image_id, each.side), len(numbers)) for each in answers]
    return Answers(
        np.array(items, dtype=np.int64),
        np.array([places[each.person] for each in answers], dtype=np.int64),
        np.array([each.is_yes for each in answers], dtype=np.bool_),
    )
