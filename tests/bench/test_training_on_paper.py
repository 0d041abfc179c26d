"""Counting without a GPU, on SDXL's architecture with fewer blocks."""

from typing import Any

import pytest

from bench import training_materials
from bench.training_memory_on_paper import count_memory
from bench.training_on_paper import count_units, per_example


@pytest.fixture(autouse=True)
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    changes: dict[str, Any] = {"layers_per_block": 1, "transformer_layers_per_block": (1, 1, 1)}
    for name, value in changes.items():
        monkeypatch.setitem(training_materials.UNET, name, value)
    for encoder in (training_materials.CLIP_L, training_materials.CLIP_BIGG):
        monkeypatch.setitem(encoder, "num_hidden_layers", 1)


def test_operations_of_an_example() -> None:
    units = count_units(128)
    assert units["adapter"] / units["base"] == pytest.approx(1, abs=0.02), (
        "folded, it is nearly free"
    )
    assert 1.7 < units["learning"] / units["base"] < 2.3
    examples = per_example(units)
    assert examples["filled"] == units["learning"]
    assert examples["cold"] > 3 * examples["filled"]


# diffusers warns of casting a network that has no values.
@pytest.mark.filterwarnings("ignore")
def test_memory_of_a_step() -> None:
    one, four = count_memory(128, 1), count_memory(128, 4)
    for found in (one, four):
        assert 0 < found["filled"] <= found["cold"] < found["baseline"]
    assert four["baseline"] > one["baseline"]
