"""How often the intervals of an audit hold the truth, with simulated participants.

    python -m bench.audit_coverage [--simulations 1000] [--seed 1]

Each simulation makes labels of which a known share holds, differently from image to image, and participants who see
what is there and say yes to what is not with a readiness of their own; ambiguous labels tempt all of them alike. The
same participants judge decoys, of which none holds. The truth is that of all images and all participants such as
these, not of those that were drawn.

Printed for each case: how often the 95 % intervals of the pooled accuracy, of one of seven dimensions and of the
corrected accuracy hold their truth (`app.audits.scoring`), what the decoys say of the readiness to say yes, and, for
comparison, how often two others would hold the pooled accuracy: a bootstrap over images alone, and one over images and
participants.
"""

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray

from app.audits.scoring import NO, YES, Answers, score
from bench.machine import describe

Reals = NDArray[np.float64]
DIMENSIONS = 7
REPLICATES = 500


@dataclass(frozen=True)
class Case:
    """Who judges what. `accuracy` and `bias` are middles, the others standard deviations of log odds: of the share
    that holds, by image, and of saying yes to what does not hold, by participant and by label. `judges` of the
    people judge each image (None: all).
    """

    name: str
    images: int = 100
    people: int = 10
    judges: int | None = None
    labels: int = 14
    decoys: int = 4
    accuracy: float = 0.85
    bias: float = 0.2
    by_image: float = 0.6
    by_person: float = 0.6
    by_label: float = 0.6


PLAIN = Case("as the paper: 100 images, 10 participants")
CASES = (
    PLAIN,
    replace(PLAIN, name="participants alike", by_person=0.0),
    replace(PLAIN, name="participants very different", by_person=1.5),
    replace(PLAIN, name="images alike, labels clear", by_image=0.0, by_label=0.0),
    replace(PLAIN, name="images very different", by_image=1.5),
    replace(PLAIN, name="half say yes to anything", bias=0.54),
    replace(PLAIN, name="nearly all holds", accuracy=0.96, bias=0.1),
    replace(PLAIN, name="an agent that guesses", accuracy=0.5, bias=0.3),
    replace(PLAIN, name="5 participants", people=5),
    replace(PLAIN, name="3 participants", people=3),
    replace(PLAIN, name="30 images", images=30),
    replace(PLAIN, name="3 of 10 judge each image", judges=3),
    replace(PLAIN, name="3 of 30 judge each of 300", images=300, people=30, judges=3),
)


def expit(x: Reals) -> Reals:
    return 1 / (1 + np.exp(-x))


def mean_share(middle: float, spread: float) -> float:
    """The mean of a share whose log odds are normal, by quadrature."""
    nodes, weights = hermegauss(80)
    odds = np.log(middle / (1 - middle))
    return float(weights @ expit(odds + spread * nodes) / weights.sum())


def truths(case: Case) -> tuple[float, float, float]:
    """The share of labels that hold, the readiness to say yes to what does not, and the accuracy both give."""
    holds = mean_share(case.accuracy, case.by_image)
    yes = mean_share(case.bias, float(np.hypot(case.by_person, case.by_label)))
    return holds, yes, holds + (1 - holds) * yes


def simulate(case: Case, chance: np.random.Generator) -> tuple[Answers, NDArray[np.int64]]:
    """One audit's answers, and the dimension of each."""
    per_image = case.labels + case.decoys
    image = np.repeat(np.arange(case.images), per_image)
    is_decoy = np.tile(np.arange(per_image) >= case.labels, case.images)
    rate = np.log(case.accuracy / (1 - case.accuracy)) + case.by_image * chance.normal(
        size=case.images
    )
    holds = ~is_decoy & (chance.random(len(image)) < expit(rate)[image])
    tempting = case.by_label * chance.normal(size=len(image))
    leaning = np.log(case.bias / (1 - case.bias)) + case.by_person * chance.normal(size=case.people)
    yes = holds[:, None] | (
        chance.random((len(image), case.people)) < expit(leaning[None, :] + tempting[:, None])
    )
    asked = np.ones((case.images, case.people), dtype=bool)
    if case.judges is not None:
        order = chance.random((case.images, case.people)).argsort(axis=1)
        asked = order < case.judges
    item, person = np.nonzero(asked[image])
    answers = Answers(
        images=image[item],
        participants=person,
        items=item,
        said=np.where(yes[item, person], YES, NO),
        decoys=is_decoy[item],
        seconds=np.full(len(item), np.nan),
    )
    return answers, (np.arange(len(image)) % per_image % DIMENSIONS)[item]


def bootstraps(answers: Answers, chance: np.random.Generator) -> list[tuple[float, float]]:
    """Percentile intervals of the pooled accuracy: over images, and over images and participants."""
    labels = answers.where(~answers.decoys)
    shape = labels.images.max() + 1, labels.participants.max() + 1
    place = labels.images * shape[1] + labels.participants
    total = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape).astype(float)
    hits = np.bincount(place, weights=labels.said, minlength=shape[0] * shape[1]).reshape(shape)
    of_images = chance.multinomial(shape[0], np.full(shape[0], 1 / shape[0]), REPLICATES)
    of_people = chance.multinomial(shape[1], np.full(shape[1], 1 / shape[1]), REPLICATES)
    return [
        tuple(
            np.quantile(
                ((of_images @ hits) * w).sum(1) / ((of_images @ total) * w).sum(1), [0.025, 0.975]
            )
        )
        for w in (np.ones_like(of_people), of_people)
    ]


def measure(case: Case, simulations: int, seed: int) -> dict[str, float]:
    """Shares of intervals that hold their truth, and means."""
    chance = np.random.default_rng(seed)
    holds, yes, accuracy = truths(case)
    rows = []
    for _ in range(simulations):
        answers, dimensions = simulate(case, chance)
        whole, part = score(answers), score(answers.where(dimensions == 0))
        old, both = bootstraps(answers, chance)
        rows.append(
            (
                inside(accuracy, whole.interval),
                inside(accuracy, part.interval),
                inside(holds, whole.corrected_interval),
                (whole.interval[1] - whole.interval[0]) if whole.interval else np.nan,
                whole.yes_to_decoys if whole.yes_to_decoys is not None else np.nan,
                whole.corrected if whole.corrected is not None else np.nan,
                inside(accuracy, old),
                inside(accuracy, both),
            )
        )
    means = np.nanmean(np.array(rows, dtype=float), axis=0)
    names = ("pooled", "dimension", "corrected", "width", "yes", "mean", "images", "both")
    return dict(zip(names, means.tolist(), strict=True)) | {"true_yes": yes, "true_mean": holds}


def inside(truth: float, interval: tuple[float, float] | None) -> float:
    return float(interval is not None and interval[0] <= truth <= interval[1])


def main() -> None:
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    asked.add_argument("--simulations", type=int, default=1_000)
    asked.add_argument("--seed", type=int, default=1)
    options = asked.parse_args()
    print(describe())
    print(
        f"{options.simulations} simulations of each case, seed {options.seed}; shares in percent\n"
    )
    heads = (
        "pooled",
        "dimension",
        "corrected",
        "width",
        "decoys said yes (true)",
        "corrected mean (true)",
    )
    print(f"{'':42} {'  '.join(heads)}  | images alone  both drawn")
    began = time.monotonic()
    for case in CASES:
        found = {
            name: 100 * each
            for name, each in measure(case, options.simulations, options.seed).items()
        }
        print(
            f"{case.name:42} {found['pooled']:6.1f}  {found['dimension']:9.1f}  {found['corrected']:9.1f}"
            f"  {found['width']:5.1f}  {found['yes']:13.1f} ({found['true_yes']:5.1f})"
            f"  {found['mean']:13.1f} ({found['true_mean']:5.1f})  |"
            f" {found['images']:12.1f}  {found['both']:10.1f}",
            flush=True,
        )
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
