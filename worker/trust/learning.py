"""Learns how likely a statement of several agents holds, from labels that people judged.

Which of the agents said it and which looked and did not is the pattern of a statement. Its log odds are a sum: what all have in
common, what the confidence of each agent adds (Platt 1999, with a bend), and what is particular to its pattern, its
root dimension, its dimension and its attribute, and to these under its pattern. Each kind of particularity is drawn towards
nothing by as much as the answers themselves show that it varies (a hierarchical logistic regression whose variances
are fitted by EM around Laplace's approximation). So an attribute with many answers has a trust of its own, and one
with few that of its dimension; and what is not known well is said with less certainty.

No database here: columns in, a model out. Why no isotonic regression: with answers in the hundreds its steps follow chance.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize

from worker.trust.people import Reals, Whole

SAID, SILENT, UNABLE = "+", "-", "x"
"""Of one agent about one attribute of an image: it says so; it looked and does not; it cannot tell."""

CONFIDENCE_LIMIT = 0.01
FOLDS = 5
ROUNDS = 40
STEPS = 50
CLOSE = 1e-6
STEADY = 0.02
# How uncertain we are before anything is known: of the common log odds, and of what confidence says.
COMMON_SPREAD, SLOPE_SPREAD = 3.0, 1.0
# A kind of particularity is taken to vary by 0.5 in log odds, with the weight of one that was seen.
USUAL_VARIANCE, USUAL_WEIGHT = 0.25, 1.0
LEAST_VARIANCE = 1e-4
# How far the straightening is taken to be from none, in log odds.
STRAIGHT_SPREAD = 0.5
AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Statement:
    """That an attribute applies to an image: the pattern of the agents (one of `SAID`, `SILENT`, `UNABLE` for each),
    the confidence of each that says so (None: it gives none), and where the attribute stands.
    """

    pattern: str
    confidence: tuple[float | None, ...]
    side: Hashable
    dimension: Hashable
    root: Hashable

    @property
    def is_agreed(self) -> bool:
        """Whether two agents or more say so, and none that can tell does not."""
        return self.pattern.count(SAID) > 1 and SILENT not in self.pattern


@dataclass(frozen=True, slots=True)
class Evidence:
    """Statements that people judged, with how likely their answers are if it holds, and if it does not
    (`worker.trust.people.likelihoods`), and the image of each.
    """

    statements: Sequence[Statement]
    if_true: Reals
    if_false: Reals
    images: Whole

    def where(self, chosen: NDArray[np.bool_]) -> Evidence:
        """Only these."""
        some = [self.statements[int(each)] for each in np.flatnonzero(chosen)]
        return Evidence(some, self.if_true[chosen], self.if_false[chosen], self.images[chosen])


@dataclass(frozen=True, slots=True)
class Belief:
    """How likely statements hold: the middle and the variance of their log odds."""

    middle: Reals
    variance: Reals

    @property
    def odds(self) -> Reals:
        """The log odds of the mean probability over what is not known of the log odds (MacKay 1992)."""
        return np.asarray(self.middle / np.sqrt(1 + np.pi * self.variance / 8))


@dataclass(frozen=True, slots=True)
class Straightening:
    """What is added to log odds, and by what they are multiplied before, so that they mean what they say on images
    that they were not learned from (Platt 1999).
    """

    shift: float = 0.0
    stretch: float = 1.0

    def probability(self, odds: Reals) -> Reals:
        """How likely statements of such log odds hold."""
        return expit(self.shift + self.stretch * odds)


@dataclass
class Model:
    """What was learned. `variances` are those of each kind of particularity; `unseen` is how likely each statement that
    it was learned from holds by what is known from other images alone.
    """

    scales: list[tuple[float, float]]
    columns: dict[tuple[str, Hashable], int]
    variances: dict[str, float]
    effects: Reals = field(repr=False)
    covariance: Reals = field(repr=False)
    straightening: Straightening = Straightening()
    unseen: Reals = field(default_factory=lambda: np.zeros(0), repr=False)

    def believe(self, statements: Sequence[Statement]) -> Reals:
        """How likely statements hold. What no answer was about counts as the others of its kind, with more doubt."""
        return self.straightening.probability(self._belief(statements).odds)

    def between(self, statements: Sequence[Statement]) -> tuple[Reals, Reals]:
        """Between which probabilities the share of such statements that hold lies in 95 of 100 cases."""
        belief = self._belief(statements)
        reach = 1.96 * np.sqrt(belief.variance)
        low, high = (
            self.straightening.probability(belief.middle + each) for each in (-reach, reach)
        )
        return low, high

    def _belief(self, statements: Sequence[Statement]) -> Belief:
        parts = [
            self._belief_of_few(statements[start : start + AT_ONCE])
            for start in range(0, len(statements), AT_ONCE)
        ] or [Belief(np.zeros(0), np.zeros(0))]
        return Belief(
            np.concatenate([each.middle for each in parts]),
            np.concatenate([each.variance for each in parts]),
        )

    def _belief_of_few(self, statements: Sequence[Statement]) -> Belief:
        matrix, unknown = _design(statements, self.scales, self.columns, self.variances)
        known = _spread(matrix, self.covariance)
        return Belief(np.asarray(matrix @ self.effects), known + unknown)


def learn(evidence: Evidence) -> Model:
    """Learn from what people judged; deterministic. With nothing judged everything is as likely as not."""
    model = _learn(evidence)
    odds = _odds_unseen(evidence, model)
    model.straightening = _straighten(odds, evidence)
    model.unseen = model.straightening.probability(odds)
    return model


def _learn(evidence: Evidence) -> Model:
    scales = _scales(evidence.statements)
    columns = _columns(evidence.statements, len(scales))
    variances = dict.fromkeys(_kinds(columns), USUAL_VARIANCE)
    matrix, _ = _design(evidence.statements, scales, columns, variances)
    effects = np.zeros(len(columns))
    covariance = np.zeros((len(columns), len(columns)))
    for _ in range(ROUNDS):
        precision = _precision(columns, variances)
        effects, covariance = _fit(matrix, evidence, precision, effects)
        before, variances = variances, _variances(columns, effects, covariance)
        if all(abs(variances[kind] / before[kind] - 1) < STEADY for kind in variances):
            break
    return Model(scales, columns, variances, effects, covariance)


def _odds_unseen(evidence: Evidence, model: Model) -> Reals:
    """The log odds of each judged statement by what is known from other images alone: in `FOLDS` parts, each learned
    without its own answers.
    """
    odds = np.zeros(len(evidence.statements))
    folds = np.unique(evidence.images, return_inverse=True)[1] % FOLDS
    matrix, _ = _design(evidence.statements, model.scales, model.columns, model.variances)
    precision = _precision(model.columns, model.variances)
    for fold in range(FOLDS):
        own = folds == fold
        if own.any():
            effects, covariance = _fit(matrix[~own], evidence.where(~own), precision, model.effects)
            spread = _spread(matrix[own], covariance)
            odds[own] = Belief(np.asarray(matrix[own] @ effects), spread).odds
    return odds


def _straighten(odds: Reals, evidence: Evidence) -> Straightening:
    """Bend the log odds to what was answered on other images. Few answers bend them little."""

    def height(at: Reals) -> float:
        holds = expit(at[0] + np.exp(at[1]) * odds)
        likely = holds * evidence.if_true + (1 - holds) * evidence.if_false
        doubt = float((at**2).sum()) / (2 * STRAIGHT_SPREAD**2)
        return doubt - float(np.log(np.maximum(likely, 1e-300)).sum())

    shift, stretch = minimize(height, np.zeros(2), method="Nelder-Mead").x
    return Straightening(float(shift), float(np.exp(stretch)))


def threshold(probabilities: Reals, wished: float) -> float | None:
    """From which probability on to propose, so that of what is proposed at least `wished` (in [0, 1]) is expected to
    hold and as much as possible is proposed. None where nothing may be.
    """
    falling = np.sort(probabilities)[::-1]
    mean = np.cumsum(falling) / np.arange(1, len(falling) + 1)
    enough = np.flatnonzero(mean >= wished)
    return float(falling[enough[-1]]) if len(enough) else None


def expit(x: Reals) -> Reals:
    """The probability of log odds."""
    likely: Reals = 1 / (1 + np.exp(-np.clip(x, -700, 700)))
    return likely


# What is told apart ----------------------------------------------------------------------------


def _particular(each: Statement) -> Iterator[tuple[str, Hashable]]:
    """What may be particular to a statement, from the general to the special."""
    yield "pattern", each.pattern
    yield "root", each.root
    yield "dimension", each.dimension
    yield "attribute", each.side
    yield "pattern and root", (each.pattern, each.root)
    yield "pattern and dimension", (each.pattern, each.dimension)
    yield "pattern and attribute", (each.pattern, each.side)


def _columns(statements: Sequence[Statement], agents: int) -> dict[tuple[str, Hashable], int]:
    names: list[tuple[str, Hashable]] = [("common", "")]
    for agent in range(agents):
        names += [("slope", agent), ("bend", agent)]
    seen = dict.fromkeys(name for each in statements for name in _particular(each))
    return {name: place for place, name in enumerate([*names, *seen])}


def _kinds(columns: dict[tuple[str, Hashable], int]) -> list[str]:
    fixed = ("common", "slope", "bend")
    return [kind for kind in dict.fromkeys(kind for kind, _ in columns) if kind not in fixed]


def _design(
    statements: Sequence[Statement],
    scales: Sequence[tuple[float, float]],
    columns: dict[tuple[str, Hashable], int],
    variances: dict[str, float],
) -> tuple[sparse.csr_matrix, Reals]:
    """A row for each statement, and the variance of what no answer was about."""
    rows, places, values = [], [], []
    unknown = np.zeros(len(statements))
    for row, each in enumerate(statements):
        found = [(("common", ""), 1.0), *_certainty(each, scales)]
        found += [(name, 1.0) for name in _particular(each)]
        for name, value in found:
            place = columns.get(name)
            if place is None:
                unknown[row] += variances.get(name[0], USUAL_VARIANCE)
            else:
                rows.append(row)
                places.append(place)
                values.append(value)
    shape = (len(statements), len(columns))
    return sparse.csr_matrix((values, (rows, places)), shape=shape), unknown


def _certainty(
    each: Statement, scales: Sequence[tuple[float, float]]
) -> Iterator[tuple[tuple[str, Hashable], float]]:
    """What the confidence of each agent adds: in units of its own spread, and once more above its middle."""
    for agent, (middle, width) in enumerate(scales):
        confidence = each.confidence[agent]
        if each.pattern[agent] == SAID and confidence is not None:
            high = (_odds(confidence) - middle) / width
            yield ("slope", agent), high
            yield ("bend", agent), max(high, 0.0)


def _odds(confidence: float) -> float:
    kept = min(max(confidence, CONFIDENCE_LIMIT), 1 - CONFIDENCE_LIMIT)
    return float(np.log(kept / (1 - kept)))


def _scales(statements: Sequence[Statement]) -> list[tuple[float, float]]:
    """The middle and the spread of each agent's confidence, in log odds."""
    agents = len(statements[0].pattern) if statements else 0
    found = []
    for agent in range(agents):
        odds = [
            _odds(each.confidence[agent] or 0.0) for each in statements if _is_sure(each, agent)
        ]
        width = float(np.std(odds)) if odds else 0.0
        found.append((float(np.mean(odds)) if odds else 0.0, width if width > CLOSE else 1.0))
    return found


def _is_sure(each: Statement, agent: int) -> bool:
    return each.pattern[agent] == SAID and each.confidence[agent] is not None


def _spread(matrix: sparse.csr_matrix, covariance: Reals) -> Reals:
    """The variance of the log odds of each row."""
    found = np.asarray(matrix.multiply(matrix @ covariance).sum(axis=1)).ravel()
    kept: Reals = np.maximum(found, 0.0)
    return kept


# The fit ---------------------------------------------------------------------------------------


def _precision(columns: dict[tuple[str, Hashable], int], variances: dict[str, float]) -> Reals:
    fixed = {"common": COMMON_SPREAD**2, "slope": SLOPE_SPREAD**2, "bend": SLOPE_SPREAD**2}
    known = fixed | variances
    return np.array([1 / known[kind] for kind, _ in columns])


def _variances(
    columns: dict[tuple[str, Hashable], int], effects: Reals, covariance: Reals
) -> dict[str, float]:
    """How much each kind varies: EM, with one more that varies as usual."""
    kinds = _kinds(columns)
    squares = effects**2 + np.diag(covariance)
    of_kind: dict[str, list[int]] = {kind: [] for kind in kinds}
    for (kind, _), place in columns.items():
        if kind in of_kind:
            of_kind[kind].append(place)
    return {
        kind: max(
            LEAST_VARIANCE,
            float(squares[places].sum() + USUAL_WEIGHT * USUAL_VARIANCE)
            / (len(places) + USUAL_WEIGHT),
        )
        for kind, places in of_kind.items()
    }


def _fit(
    matrix: sparse.csr_matrix, evidence: Evidence, precision: Reals, start: Reals
) -> tuple[Reals, Reals]:
    """The most likely effects and their covariance, by Fisher scoring with halved steps."""
    effects, value = start, _height(matrix, evidence, precision, start)
    for _ in range(STEPS):
        gradient, information = _slopes(matrix, evidence, precision, effects)
        step = np.linalg.solve(information, gradient)
        size = 1.0
        while (height := _height(matrix, evidence, precision, effects + size * step)) < value:
            size /= 2
            if size < CLOSE:
                break
        if height < value:
            break
        effects, gained, value = effects + size * step, height - value, height
        if gained < CLOSE * max(1.0, abs(value)):
            break
    information = _slopes(matrix, evidence, precision, effects)[1]
    covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
    return effects, covariance


def _height(
    matrix: sparse.csr_matrix, evidence: Evidence, precision: Reals, effects: Reals
) -> float:
    holds = expit(np.asarray(matrix @ effects))
    likely = holds * evidence.if_true + (1 - holds) * evidence.if_false
    return float(np.log(np.maximum(likely, 1e-300)).sum() - (precision * effects**2).sum() / 2)


def _slopes(
    matrix: sparse.csr_matrix, evidence: Evidence, precision: Reals, effects: Reals
) -> tuple[Reals, Reals]:
    """The gradient of the height, and the information that is expected of such answers."""
    holds = expit(np.asarray(matrix @ effects))
    given = holds * evidence.if_true
    likely = np.maximum(given + (1 - holds) * evidence.if_false, 1e-300)
    after = given / likely
    gradient = matrix.T @ (after - holds) - precision * effects
    # What is not known before the answers, less what is not known after them.
    chance = holds * (1 - holds)
    weight = np.maximum(chance - after * (1 - after), 0.05 * chance)
    information = (matrix.T @ matrix.multiply(weight[:, None])).toarray() + np.diag(precision)
    return np.asarray(gradient), information
