"""Grouping many pictures: exactly what comparing every two of them gives."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.images.grouping import group_alike
from app.images.looks import (
    FEW_CELLS,
    FEW_CUTS,
    GRID,
    WORTH_A_LOOK,
    are_near,
    greys_of,
    views_of,
)

Recipe = tuple[str, int, int, int]
Grid = npt.NDArray[np.float64]


def group_plainly(pixels: Sequence[str], looks: Sequence[bytes]) -> list[int]:
    """The definition: every two pictures are compared, and what is joined by others is joined."""
    leader = list(range(len(pixels)))
    for one in range(len(pixels)):
        for other in range(one):
            same = bool(pixels[one]) and pixels[one] == pixels[other]
            near = bool(looks[one] and looks[other]) and are_near(looks[one], looks[other])
            if same or near:
                joined, into = leader[one], leader[other]
                first = min(joined, into)
                leader = [first if each in (joined, into) else each for each in leader]
    return leader


def drawn(seed: int, cells: int = 6, spread: float = 40) -> Grid:
    """A grid of greys with soft forms."""
    rng = np.random.default_rng(seed)
    forms = np.kron(rng.normal(0, 1, (cells, cells)), np.ones((GRID // cells,) * 2))
    return np.asarray(128 + spread * forms, np.float64)


def as_looks(greys: Grid) -> bytes:
    return greys.clip(0, 255).astype(np.uint8).tobytes()


def trimmed(greys: Grid, above: int, below: int, left: int, right: int) -> Grid:
    """The picture without some rows and columns at its edges, scaled back."""
    own = np.arange(GRID)
    rows, columns = (
        np.linspace(above, GRID - 1 - below, GRID),
        np.linspace(left, GRID - 1 - right, GRID),
    )
    wide = np.stack([np.interp(columns, own, row) for row in greys])
    return np.stack([np.interp(rows, own, column) for column in wide.T]).T


KINDS = ["same", "cut", "mixed", "noisy", "faint", "flat", "corner", "none"]
recipes = st.tuples(
    st.sampled_from(KINDS), st.integers(0, 2), st.sampled_from([3, 8, 12]), st.integers(0, 20)
)


def made(kind: str, seed: int, cells: int, amount: int) -> bytes:
    """A picture of one of few seeds, changed in one of the ways that a definition has borders for."""
    base = drawn(seed, cells)
    rng = np.random.default_rng(amount)
    ways: dict[str, Callable[[], bytes]] = {
        "same": lambda: as_looks(base),
        "cut": lambda: as_looks(trimmed(base, *(amount >> edge & 2 for edge in range(4)))),
        # Mixed in such steps that many are just near and many just not.
        "mixed": lambda: as_looks(base + (drawn(10 + seed) - 128) * amount / 40),
        "noisy": lambda: as_looks(base + rng.normal(0, amount, base.shape)),
        "faint": lambda: as_looks(128 + (base - 128) * amount / 400),
        "flat": lambda: bytes([amount]) * GRID**2,
        # All form in one corner: windows without it are flat.
        "corner": lambda: as_looks(np.pad(base[:2, :2], ((0, 22), (0, 22)), constant_values=128)),
        "none": lambda: b"",
    }
    return ways[kind]()


pixels = st.sampled_from(["", "", "", "a", "b"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(pixels, recipes), max_size=14))
def test_groups_are_those_of_comparing_every_two(pictures: list[tuple[str, Recipe]]) -> None:
    hashes, looks = [each[0] for each in pictures], [made(*each[1]) for each in pictures]
    assert group_alike(hashes, looks) == group_plainly(hashes, looks)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(pixels, recipes, st.booleans()), max_size=12))
def test_what_was_compared_before_is_taken_over(pictures: list[tuple[str, Recipe, bool]]) -> None:
    """Some are grouped first; the others come later, before, between and behind them."""
    hashes, looks = [each[0] for each in pictures], [made(*each[1]) for each in pictures]
    early = [place for place, each in enumerate(pictures) if each[2]]
    groups = group_alike([hashes[each] for each in early], [looks[each] for each in early])
    known: list[int | None] = [None] * len(pictures)
    for place, group in zip(early, groups, strict=True):
        known[place] = 1000 + group
    assert group_alike(hashes, looks, known) == group_plainly(hashes, looks)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.15, 0.2, 0.25, 0.3, 0.35]))
def test_clusters_at_the_threshold(seed: int, step: float) -> None:
    """Two crowds of nearly equal pictures that are near one another, just near, or just not."""
    rng = np.random.default_rng(seed)
    base, other = drawn(seed), drawn(seed + 1)
    looks = [
        as_looks(base + (other - 128) * step * (number % 2) + rng.normal(0, 3, base.shape))
        for number in range(16)
    ]
    assert group_alike([""] * 16, looks) == group_plainly([""] * 16, looks)


def test_a_chain_is_one_group_though_its_ends_are_not_near() -> None:
    base, other = drawn(1) - 128, drawn(2) - 128
    turns = np.linspace(0, np.pi / 2, 7)
    looks = [as_looks(128 + np.cos(turn) * base + np.sin(turn) * other) for turn in turns]
    assert not are_near(looks[0], looks[-1])
    assert all(are_near(one, next_) for one, next_ in itertools.pairwise(looks))
    order = [3, 0, 6, 1, 5, 2, 4]
    assert group_alike([""] * 7, [looks[each] for each in order]) == [0] * 7
    broken = [each for each in range(7) if each != 3]
    assert len(set(group_alike([""] * 6, [looks[each] for each in broken]))) == 2


def test_more_pictures_than_a_block_are_grouped_as_one_by_one() -> None:
    """Some hundred pictures, a third of them variants of others, against the plain definition."""
    looks = [as_looks(drawn(seed)) for seed in range(130)]
    looks += [as_looks(trimmed(drawn(seed), 2, seed % 3, 1, 2)) for seed in range(0, 130, 4)]
    found = group_alike([""] * len(looks), looks)
    assert found == group_plainly([""] * len(looks), looks)
    assert len(set(found)) < len(looks)


def test_many_pictures_that_are_all_alike_are_one_comparison_each() -> None:
    """Comparing every two of them would take some minutes."""
    number = 2_000
    rng = np.random.default_rng(0)
    base = drawn(5)
    looks = [as_looks(base + rng.normal(0, 2, base.shape)) for _ in range(number)]
    assert group_alike([""] * number, looks) == [0] * number


@pytest.mark.parametrize("is_trimmed_first", [True, False])
@pytest.mark.parametrize("is_first_known", [True, False])
def test_a_trimmed_picture_is_found_from_the_whole_one(
    is_trimmed_first: bool, is_first_known: bool
) -> None:
    """Only a window onto the whole picture is like the trimmed one; the other way round nothing is."""
    base = drawn(0, cells=8)
    both = [as_looks(base), as_looks(trimmed(base, 2, 2, 2, 2))]
    views = views_of(greys_of(both), FEW_CELLS, FEW_CUTS)
    assert (views[0] @ views[1][0]).max() > 0.95 > WORTH_A_LOOK > (views[1] @ views[0][0]).max()
    looks = both[::-1] if is_trimmed_first else both
    known = [7, None] if is_first_known else [None, 7]
    assert group_alike(["", ""], looks) == [0, 0]
    assert group_alike(["", ""], looks, known) == [0, 0]
