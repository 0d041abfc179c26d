"""Which pictures of many are near the same (`app.images.looks`), without asking it of every two.

What is decided is what `are_near` decides of each pair. It is asked only where a cheap upper bound of
the coarse correlation leaves it open, in blocks so that memory stays small, and never of two pictures
that are in one group already: many pictures that are all alike cost one comparison each.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from app.images.looks import (
    CELLS,
    CUTS,
    FEW_CELLS,
    FEW_CUTS,
    NEAR,
    SIZE,
    WORTH_A_LOOK,
    are_near,
    greys_of,
    has_form,
    views_of,
)

Numbers: TypeAlias = npt.NDArray[np.intp]
Singles: TypeAlias = npt.NDArray[np.float32]

BLOCK = 128
UNSURE = 1e-5
"""Single precision tells two correlations apart that differ by more; else `are_near` is asked."""
MANY = 1_000_000


class _Groups:
    """Who belongs to whom. `leader` is the first one of each group, for all that were settled."""

    def __init__(self, size: int) -> None:
        self.leader: Numbers = np.arange(size)

    def join(self, one: int, others: Numbers) -> None:
        """Make one group of these, and of all that they are grouped with."""
        leaders = np.unique(self.leader[np.append(others, one)])
        if len(leaders) > 1:
            self.leader[leaders] = leaders[0]
            self._settle()

    def join_equal(self, values: Sequence[object]) -> None:
        """Make one group of all that have a value in common. What is empty has nothing in common."""
        first: dict[object, int] = {}
        up = self.leader.tolist()

        def find(one: int) -> int:
            while up[one] != one:
                up[one] = one = up[up[one]]
            return one

        for index, value in enumerate(values):
            if value:
                one, other = find(first.setdefault(value, index)), find(index)
                up[max(one, other)] = min(one, other)
        self.leader = np.array(up, np.intp)
        self._settle()

    def _settle(self) -> None:
        while not np.array_equal(above := self.leader[self.leader], self.leader):
            self.leader = above


def group_alike(
    pixels: Sequence[str],
    looks: Sequence[bytes],
    known: Sequence[int | None] | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[int]:
    """For each picture the index of the first one of its group: itself, where it is like no earlier one.

    In one group are pictures of equal pixels, pictures that are near the same, and what these join. An
    empty `pixels` or `looks` is like nothing. `known` names the groups of those that were compared with
    one another before, by any numbers; they are not compared again. `check` is called now and then, and
    may raise to stop.
    """
    groups = _Groups(len(pixels))
    looks = _comparable(looks)
    groups.join_equal(pixels)
    groups.join_equal(looks)
    fresh = np.ones(len(pixels), bool)
    if known is not None:
        groups.join_equal([None if each is None else (each,) for each in known])
        fresh[:] = [each is None for each in known]
    places = _different(looks, fresh)
    if len(places) > 1 and fresh[places].any():
        _Comparison(groups, places, [looks[place] for place in places], check).run(fresh[places])
    return [int(each) for each in groups.leader]


def _comparable(looks: Sequence[bytes]) -> list[bytes]:
    """The same, empty where there is nothing to compare."""
    different = list({each for each in looks if len(each) == SIZE})
    forms = has_form(greys_of(different))
    formed = {each for each, has in zip(different, forms, strict=True) if has}
    return [each if each in formed else b"" for each in looks]


def _different(looks: Sequence[bytes], fresh: npt.NDArray[np.bool_]) -> Numbers:
    """One picture for each of the looks; one that is known, where there is any."""
    chosen: dict[bytes, int] = {}
    for index, each in enumerate(looks):
        if each and (each not in chosen or fresh[chosen[each]]):
            chosen[each] = index
    return np.array(sorted(chosen.values()), np.intp)


class _Comparison:
    """Pictures of different looks, and the groups that they are joined to. `places` says which of all
    pictures each is.
    """

    def __init__(
        self,
        groups: _Groups,
        places: Numbers,
        looks: Sequence[bytes],
        check: Callable[[], None],
    ) -> None:
        self.groups, self.places, self.looks, self.check = groups, places, looks, check
        self.greys = greys_of(looks)
        self.coarse = self._wholes(FEW_CELLS)
        self.fine = self._wholes(CELLS)
        self.open: list[Numbers] = []
        self.num_open = 0

    def run(self, fresh: npt.NDArray[np.bool_]) -> None:
        """Compare those that are fresh with all."""
        everyone = np.arange(len(self.looks))
        self._look_coarsely(everyone[fresh], everyone)
        self._look_coarsely(everyone[~fresh], everyone[fresh])
        self._look_closely()

    def _wholes(self, cells: int) -> Singles:
        parts = range(0, len(self.greys), BLOCK)
        wholes = [views_of(self.greys[at : at + BLOCK], cells, (0.0,))[:, 0] for at in parts]
        return np.concatenate(wholes, dtype=np.float32, casting="same_kind")

    def _apart(self, one: int, others: Numbers) -> Numbers:
        """Those of the others that are in another group."""
        leader = self.groups.leader
        apart: Numbers = others[leader[self.places[others]] != leader[self.places[one]]]
        return apart

    def _join(self, one: int, others: Numbers) -> None:
        if len(others):
            self.groups.join(int(self.places[one]), self.places[others])

    def _join_if_near(self, one: int, others: Numbers) -> None:
        near = [each for each in others if are_near(self.looks[one], self.looks[each])]
        self._join(one, np.array(near, np.intp))

    def _look_coarsely(self, rows: Numbers, columns: Numbers) -> None:
        """Find whom a coarse window onto each row is like, among the columns."""
        for at in range(0, len(rows), BLOCK):
            self.check()
            block = rows[at : at + BLOCK]
            views = views_of(self.greys[block], FEW_CELLS, FEW_CUTS).astype(np.float32)
            middle, least = _cones(views)
            possible = middle @ self.coarse[columns].T >= least[:, None]
            for row, of_row, view in zip(block.tolist(), possible, views, strict=True):
                others = self._apart(row, columns[of_row])
                if len(others):
                    self._sift(row, others, (self.coarse[others] @ view.T).max(axis=1))
            if self.num_open > MANY:
                self._look_closely()

    def _sift(self, row: int, others: Numbers, likeness: Singles) -> None:
        """Decide what a look at the whole pictures can decide, and keep the others."""
        unsure = np.abs(likeness - WORTH_A_LOOK) <= UNSURE
        self._join_if_near(row, others[unsure])
        others = others[likeness > WORTH_A_LOOK + UNSURE]
        near = self.fine[others] @ self.fine[row] > NEAR + UNSURE
        self._join(row, others[near])
        others = self._apart(row, others[~near])
        both = np.stack([np.full_like(others, row), others])
        self.open += [both, both[::-1]]
        self.num_open += 2 * len(others)

    def _look_closely(self) -> None:
        """Compare all windows onto a picture with the wholes of those that were kept with it."""
        if not self.num_open:
            return
        owners, others = np.concatenate(self.open, axis=1)
        self.open, self.num_open = [], 0
        order = np.argsort(owners, kind="stable")
        owners, others = owners[order], others[order]
        starts = np.flatnonzero(np.diff(owners, prepend=-1))
        for owner, own in zip(owners[starts].tolist(), np.split(others, starts[1:]), strict=True):
            self.check()
            own = self._apart(owner, own)
            if len(own):
                views = views_of(self.greys[owner : owner + 1], CELLS, CUTS)[0]
                likeness = (self.fine[own] @ views.astype(np.float32).T).max(axis=1)
                self._join(owner, own[likeness > NEAR + UNSURE])
                self._join_if_near(owner, own[np.abs(likeness - NEAR) <= UNSURE])


def _cones(views: Singles) -> tuple[Singles, Singles]:
    """The middle of each picture's windows, and the least correlation with it of whatever is worth a
    look: an angle to the middle is at most the angle to a window and that window's to the middle.
    """
    middle = views.mean(axis=1)
    middle /= np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), 1e-6)
    nearness = np.einsum("nwc,nc->nw", views, middle).min(axis=1)
    angle = np.arccos(np.clip(nearness, -1, 1)) + np.arccos(WORTH_A_LOOK)
    least = np.where(angle < np.pi, np.cos(np.minimum(angle, np.pi)), -1) - 1e-3
    return middle, least.astype(np.float32)
