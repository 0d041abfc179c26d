"""Whether what several agents say together is as sure as it claims to be, with agents and people of known faults.

    python -m bench.agent_trust [--seeds 20] [--statements 20000] [--answers 250 500 1000 2000]

Each world has attributes below dimensions, two agents that see and imagine them with a reliability of their own, are
led astray by the same pictures and boast in their confidence, and people who judge blind. People say yes to what is
not there, each with a readiness of their own, and overlook some of what is; decoys come on top of the answers. First
those of whom the answers tell how they err, then those of whom they do not: there no method could be right.
The truth of every statement is known. Printed for each kind of people and number of answers about labels: the
mean and the highest expected calibration error over the seeds on statements that nobody judged, of the learned
confidence and of what the agents say themselves; then how many labels reach a wished precision of 80 %.
"""

import argparse
import time
from dataclasses import dataclass, field, replace

import numpy as np

from bench.machine import describe
from worker.trust.learning import SAID, SILENT, UNABLE, Evidence, Statement, expit, learn, threshold
from worker.trust.people import Answers, find_rates, likelihoods
from worker.trust.reliability import calibration_error

ANSWERS = (250, 500, 1000, 2000)


@dataclass(frozen=True)
class People:
    """Those who judge: how many, how readily they say yes to what is not there (with the spread of its log odds), and
    how often they overlook what is. A label is judged by one of them, or, `shared` of all, by `judges`. Decoys are
    `decoy_share` of what is asked; `decoys_there` of them are there after all.
    """

    name: str
    number: int = 10
    yes: float = 0.02
    yes_spread: float = 0.0
    miss: float = 0.0
    judges: int = 1
    shared: float = 1.0
    decoys_there: float = 0.0
    decoy_share: float = 0.2


# Of whom the answers tell how they err.
_READY = People("who say yes to 30 %", yes=0.3, yes_spread=0.6)
_HASTY = replace(_READY, miss=0.1, judges=3, shared=0.4)
# Of whom the answers tell how they err.
PEOPLE = (
    People("who are right"),
    People("who say yes to 15 % of what is not there", yes=0.15, yes_spread=0.6),
    _READY,
    People("one alone who says yes to 30 %", yes=0.3, number=1),
    replace(_HASTY, name="who say yes to 30 % and overlook 10 %, two in five labels by three"),
    replace(_HASTY, name="the same, every label by three", shared=1.0),
    replace(_HASTY, name="the same, two in five by three, no decoys", decoy_share=0.0),
    replace(
        _HASTY, name="the same, two in five by three, a tenth of decoys is there", decoys_there=0.1
    ),
)
# Of whom they do not.
UNKNOWN = (
    replace(_READY, name="who say yes to 30 %, one a label, no decoys", decoy_share=0.0),
    replace(_READY, name="who say yes to 30 % and overlook 10 %, one a label", miss=0.1),
    replace(
        _READY,
        name="who say yes to 30 %, one a label, a tenth of decoys is there",
        decoys_there=0.1,
    ),
)


@dataclass
class World:
    """Statements of two agents about attributes, with their truth; the same seed makes the same."""

    seed: int
    sides: int = 120
    roots: int = 7
    able: float = 0.6
    chance: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.chance = chance = np.random.default_rng(self.seed)
        roots = chance.integers(0, self.roots, self.sides)
        below = chance.integers(0, 3, self.sides)
        self.root, self.dimension = roots, roots * 3 + below
        self.there = expit(chance.normal(-1.2, 0.8, self.sides))
        self.sees = self._reliability(0.8, 0.9)
        self.imagines = self._reliability(-1.8, 1.0)
        # The second agent knows of all attributes, the first of some.
        self.can = np.stack([chance.random(self.sides) < self.able, np.ones(self.sides, bool)])

    def _reliability(self, middle: float, width: float) -> np.ndarray:
        """By agent and attribute: some is particular to the root, some to the dimension, the rest to the attribute."""
        part = width / np.sqrt(3)
        return np.stack(
            [
                middle
                + self.chance.normal(0, part, self.roots)[self.root]
                + self.chance.normal(0, part, self.roots * 3)[self.dimension]
                + self.chance.normal(0, part, self.sides)
                for _ in range(2)
            ]
        )

    def look(self, number: int) -> tuple[list[Statement], np.ndarray, np.ndarray, np.ndarray]:
        """So many statements; whether each holds; the image of each; and what the surest agent says of itself."""
        statements: list[Statement] = []
        holds: list[float] = []
        images: list[int] = []
        raw: list[float] = []
        while len(statements) < number:
            image = int(self.chance.integers(0, 2**40))
            for each, is_there in self._painting():
                statements.append(each)
                holds.append(float(is_there))
                images.append(image)
                raw.append(max(one for one in each.confidence if one is not None))
        return (
            statements[:number],
            np.array(holds[:number]),
            np.array(images[:number]),
            np.array(raw[:number]),
        )

    def _painting(self) -> list[tuple[Statement, bool]]:
        there = self.chance.random(self.sides) < self.there
        # What leads both astray in this picture.
        tempting = self.chance.normal(0, 0.7, self.sides)
        odds = np.where(there, self.sees, self.imagines + tempting)
        says = (self.chance.random((2, self.sides)) < expit(odds)) & self.can
        sure = self.chance.normal(np.where(there, 0.9, 0.0), 1.0, (2, self.sides))
        # Boasting, and differently so: never under a half, soon near certainty.
        told = np.stack([0.5 + 0.5 * expit(1.5 * sure[0] + 1.0), expit(0.6 * sure[1] + 2.5)])
        return [
            (self._statement(int(side), says[:, side], told[:, side]), bool(there[side]))
            for side in np.flatnonzero(says.any(axis=0))
        ]

    def _statement(self, side: int, says: np.ndarray, told: np.ndarray) -> Statement:
        marks = (
            SAID if says[agent] else SILENT if self.can[agent, side] else UNABLE for agent in (0, 1)
        )
        confidence = tuple(float(told[agent]) if says[agent] else None for agent in (0, 1))
        return Statement(
            "".join(marks), confidence, side, int(self.dimension[side]), int(self.root[side])
        )


def judge(world: World, people: People, answers: int) -> Evidence:
    """What people answer, so many answers about labels, with what can be known of them from those answers and from the
    decoys among them.
    """
    chance = np.random.default_rng([world.seed, answers])
    odds = np.log(people.yes / (1 - people.yes))
    yes_rate = expit(odds + chance.normal(0, people.yes_spread, people.number))
    each = 1 + people.shared * (people.judges - 1)
    statements, holds, images, _ = world.look(max(1, round(answers / each)))
    labels = ask(people, yes_rate, holds, chance)
    share = people.decoy_share
    decoys = round(answers * share / (1 - share) / each)
    decoys_hold = (chance.random(decoys) < people.decoys_there).astype(float)
    about_decoys = ask(people, yes_rate, decoys_hold, chance)
    patterns = np.unique([each.pattern for each in statements], return_inverse=True)[1]
    known = find_rates(labels, patterns[labels.items], about_decoys, people.number)
    _, if_true, if_false = likelihoods(labels.items, labels.yes, known.rates(labels.people))
    return Evidence(statements, if_true, if_false, images)


def ask(
    people: People, yes_rate: np.ndarray, holds: np.ndarray, chance: np.random.Generator
) -> Answers:
    """What they answer about things that hold or not."""
    several = chance.random(len(holds)) < people.shared
    times = np.where(several, people.judges, 1)
    items = np.repeat(np.arange(len(holds)), times)
    drawn = [chance.permutation(people.number)[:number] for number in times]
    who = np.concatenate([np.zeros(0, np.int64), *drawn])
    likely = np.where(holds[items] > 0, 1 - people.miss, yes_rate[who])
    return Answers(items, who, likely > chance.random(len(items)))


def errors(seed: int, people: People, answers: int, unseen: int) -> tuple[float, float]:
    """The calibration error of the learned confidence and of the agents' own, on statements that nobody judged."""
    world = World(seed)
    model = learn(judge(world, people, answers))
    statements, holds, _, raw = world.look(unseen)
    return (
        calibration_error(model.believe(statements), holds),
        calibration_error(raw, holds),
    )


def reached(seed: int, people: People, answers: int, unseen: int) -> tuple[float, float]:
    """With a wished precision of 80 %: the share of statements proposed, and the share of those that hold."""
    world = World(seed)
    model = learn(judge(world, people, answers))
    statements, holds, _, _ = world.look(unseen)
    probability = model.believe(statements)
    sides = np.array([each.side for each in statements])
    chosen = np.zeros(len(statements), bool)
    for side in np.unique(sides):
        own = sides == side
        bar = threshold(probability[own], 0.8)
        chosen |= own & (probability >= (2.0 if bar is None else bar))
    return float(chosen.mean()), float(holds[chosen].mean()) if chosen.any() else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--statements", type=int, default=20_000)
    parser.add_argument("--answers", type=int, nargs="+", default=ANSWERS)
    asked = parser.parse_args()
    print(describe())
    began = time.monotonic()
    for people in (*PEOPLE, *UNKNOWN):
        is_known = "" if people in PEOPLE else " (which the answers do not tell)"
        print(
            f"\npeople {people.name}{is_known}\n  answers   learned: mean (highest)   agents' own: mean"
        )
        for answers in asked.answers:
            found = np.array(
                [errors(seed, people, answers, asked.statements) for seed in range(asked.seeds)]
            )
            learned, own = found[:, 0], found[:, 1]
            print(
                f"  {answers:>7}   {learned.mean():.3f} ({learned.max():.3f}){'':13}{own.mean():.3f}",
                flush=True,
            )
        shares = np.array(
            [reached(seed, people, 2000, asked.statements) for seed in range(asked.seeds)]
        )
        print(
            f"  wished 80 % after 2,000: {100 * shares[:, 0].mean():.0f} % of statements proposed,"
            f" {100 * shares[:, 1].mean():.1f} % of those hold ({100 * shares[:, 1].min():.1f} at worst)"
        )
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
