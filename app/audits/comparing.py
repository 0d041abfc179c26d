"""Two audits side by side, as before and after a new agent: by how much their accuracies differ, and whether that
could be chance.

Both are restricted to the images that they share, so that each image is its own comparison; the difference of the
pooled accuracies is linearised and its variance is that of images and participants (`intervals`), the parts of both
audits lying in the same images. Labels that both audits asked for are compared one by one besides: of those on which
the majorities differ, one way and the other should be as frequent (McNemar 1947, the exact binomial test).
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audits.access import get_audit_criteria
from app.audits.gathering import Gathered, gather_answers
from app.audits.models import Audit, AuditItem
from app.audits.scoring import UNSURE, Answers, Score, score
from app.errors import Invalid
from app.intervals import Interval, spread
from method.student import two_sided
from taxonomy.tree import Criteria

MOST_CHOICES = 50


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one dimension or of all: both scores over the shared images, and second minus first with its interval and
    the probability of one as large by chance. None where either has no answer or there is no spread.
    """

    key: str
    name: str
    first: Score
    second: Score
    by: float | None
    interval: Interval | None
    p: float | None


@dataclass(frozen=True, slots=True)
class SameLabels:
    """Labels that both audits asked for and that a majority decided in both: how many, on how many only the first or
    only the second says that it appears, and the probability of that by chance.
    """

    labels: int
    only_first: int
    only_second: int
    p: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two audits say of the images that both drew."""

    images: int
    overall: Difference
    dimensions: tuple[Difference, ...]
    same_labels: SameLabels


def find_comparable(db: Session, audit: Audit) -> list[Audit]:
    """Other audits of the same project that drew some of the same images, newest first."""
    own = select(AuditItem.image_id).where(AuditItem.audit_id == audit.id)
    sharing = select(AuditItem.audit_id).where(AuditItem.image_id.in_(own)).distinct()
    return list(
        db.scalars(
            select(Audit)
            .where(
                Audit.project_id == audit.project_id, Audit.id != audit.id, Audit.id.in_(sharing)
            )
            .order_by(Audit.id.desc())
            .limit(MOST_CHOICES)
        )
    )


def compare(db: Session, first: Audit, second: Audit) -> Comparison:
    """The second audit against the first, over the images that both drew. Raises Invalid where there are none."""
    one, two = gather_answers(db, first), gather_answers(db, second)
    shared = np.intersect1d(_images_of(db, first), _images_of(db, second))
    if not len(shared):
        raise Invalid("These audits have no image in common.", field="with")
    tree = get_audit_criteria(db, second).tree
    earlier = get_audit_criteria(db, first).tree
    here, there = _labels(one, shared), _labels(two, shared)
    roots = [
        root
        for root in tree.dimensions
        if any(
            _is_below(found, trees, root.key).any()
            for found, trees in ((one, earlier), (two, tree))
        )
    ]
    return Comparison(
        images=len(shared),
        overall=_difference("overall", "Overall", here, there),
        dimensions=tuple(
            _difference(
                root.key,
                root.name,
                _labels(one, shared, _is_below(one, earlier, root.key)),
                _labels(two, shared, _is_below(two, tree, root.key)),
            )
            for root in roots
        ),
        same_labels=_same_labels(_majorities(one, here), _majorities(two, there)),
    )


def _images_of(db: Session, audit: Audit) -> list[int]:
    return list(
        db.scalars(select(AuditItem.image_id).where(AuditItem.audit_id == audit.id).distinct())
    )


def _is_below(found: Gathered, tree: Criteria, root_key: str) -> np.typing.NDArray[np.bool_]:
    keys = [
        each
        for each in np.unique(found.keys)
        if tree.find(each) and tree.root_of(each).key == root_key
    ]
    return np.isin(found.keys, keys)


def _labels(
    found: Gathered,
    images: np.typing.NDArray[np.int64],
    items: np.typing.NDArray[np.bool_] | None = None,
) -> Answers:
    """The answers about labels of these images, of some of the questions."""
    answers = found.answers if items is None else found.about(items)[0]
    return answers.where(~answers.decoys & np.isin(answers.images, images))


def _difference(key: str, name: str, first: Answers, second: Answers) -> Difference:
    scores = score(first), score(second)
    before, after = scores[0].accuracy, scores[1].accuracy
    if before is None or after is None:
        return Difference(key, name, *scores, None, None, None)
    one, two = (each.where(each.said != UNSURE) for each in (first, second))
    parts = np.concatenate([-(one.said - before) / len(one), (two.said - after) / len(two)])
    found = spread(
        parts,
        np.concatenate([one.images, two.images]),
        np.concatenate([one.participants, two.participants]),
    )
    by = after - before
    if found is None:
        return Difference(key, name, *scores, by, None, None)
    interval = (max(-1.0, by - found.reach), min(1.0, by + found.reach))
    p = two_sided(by / found.error, found.freedom)
    return Difference(key, name, *scores, by, interval, p)


def _majorities(found: Gathered, answers: Answers) -> dict[tuple[int, str, str], bool]:
    """By image, pair and polarity: whether more said that it appears than not; ties are left out."""
    decided = answers.where(answers.said != UNSURE)
    items, first, index = np.unique(decided.items, return_index=True, return_inverse=True)
    balance = np.bincount(index, weights=2 * decided.said - 1, minlength=len(items))
    at = np.searchsorted(found.ids, items)
    return {
        (
            int(decided.images[first[each]]),
            str(found.keys[at[each]]),
            str(found.polarities[at[each]]),
        ): bool(balance[each] > 0)
        for each in np.flatnonzero(balance)
    }


def _same_labels(
    first: dict[tuple[int, str, str], bool], second: dict[tuple[int, str, str], bool]
) -> SameLabels:
    both = first.keys() & second.keys()
    only_first = sum(first[each] and not second[each] for each in both)
    only_second = sum(second[each] and not first[each] for each in both)
    return SameLabels(len(both), only_first, only_second, exact_sign_test(only_first, only_second))


def exact_sign_test(fewer: int, more: int) -> float | None:
    """The two-sided probability of so uneven a split of `fewer + more` where both ways are as likely; None of none."""
    total = fewer + more
    if not total:
        return None
    ways = sum(math.comb(total, each) for each in range(min(fewer, more) + 1))
    return min(1.0, 2 * float(Fraction(ways, 2**total)))
