"""What cpo_s, dpo and spo learn in twelve steps is what it was when their curves were written down.

Other processors add up in another order: over the twelve steps that moves a column by up to 5e-4 of its
largest value (measured with the kernels of test_other_processors.py), a 1 % change of a constant by 5e-3 or more.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.worker.training import golden

TOLERANCE = 2e-3
"""Of the largest value of a column."""


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> golden.Materials:
    return golden.make_materials(tmp_path_factory.mktemp("golden"))


def furthest(found: golden.Curve, kept: golden.Curve) -> dict[str, float]:
    """How far each column is off at most, as a share of its largest value."""
    assert len(found) == len(kept) == golden.STEPS
    columns = zip(golden.COLUMNS, zip(*found, strict=True), zip(*kept, strict=True), strict=True)
    return {name: _distance(ours, theirs) for name, ours, theirs in columns}


def _distance(ours: Sequence[float], theirs: Sequence[float]) -> float:
    apart = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    return apart / max(map(abs, theirs))


@pytest.mark.bits
@pytest.mark.parametrize("kind", golden.KINDS)
def test_the_curve_is_the_one_written_down(
    kind: str, materials: golden.Materials, tmp_path: Path
) -> None:
    off = furthest(golden.curve(kind, materials, tmp_path / "run"), golden.read(kind))
    assert max(off.values()) < TOLERANCE, (
        f"{kind} learns otherwise than before: {off}. Where that is meant: python -m {golden.__name__}"
    )


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("cpo_s", {"beta": 5050.0}),
        ("cpo_s", {"omega_w": 2.02}),
        ("cpo_s", {"omega_l": 2.02}),
        ("cpo_s", {"margin": "eq12"}),
        ("cpo_s", {"kind": "cpo"}),
        ("dpo", {"beta": 5050.0}),
        ("spo", {"beta": 10.1}),
        ("spo", {"guidance": 2.02}),
    ],
)
def test_little_is_enough_to_leave_the_curve(
    kind: str, changed: dict[str, Any], materials: golden.Materials, tmp_path: Path
) -> None:
    found = golden.curve(kind, materials, tmp_path / "run", **changed)
    assert max(furthest(found, golden.read(kind)).values()) > 2 * TOLERANCE
