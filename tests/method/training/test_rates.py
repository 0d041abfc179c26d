"""The learning rate for a wanted drift."""

import json
from pathlib import Path
from typing import Any

import pytest

from method.training.failures import InvalidDataset
from method.training.rates import main, rate_for_drift


def trial(rate: float = 1e-4, steps: int = 30, warmup: int = 0) -> list[dict[str, Any]]:
    """Theta moves in proportion to the learning rates so far: drift = gap * (100 * their sum)^2."""
    rows, walked = [], 0.0
    for step in range(1, steps + 1):
        lr = rate * min(1.0, step / warmup) if warmup else rate
        walked += lr
        rows.append({"step": step, "lr": lr, "gap": 0.01, "drift": 0.01 * (100 * walked) ** 2})
    return rows


@pytest.mark.parametrize("warmup", [0, 10])
def test_the_rate_is_the_one_that_comes_to_the_wanted_drift(warmup: int) -> None:
    found = rate_for_drift(trial(warmup=warmup), share=0.1, steps=300)
    reached = trial(found, steps=300)[-1]
    assert reached["drift"] / reached["gap"] == pytest.approx(0.1, rel=0.05)


def test_what_is_no_trial_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidDataset, match="10 are needed"):
        rate_for_drift(trial(steps=5), share=0.1, steps=300)
    with pytest.raises(InvalidDataset, match="has not moved"):
        rate_for_drift([row | {"drift": 0.0} for row in trial()], share=0.1, steps=300)
    assert main([str(tmp_path), "--steps", "300"]) == 3
    assert "metrics.jsonl cannot be read" in capsys.readouterr().err


def test_the_command_prints_the_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in trial())
    (tmp_path / "metrics.jsonl").write_text(lines)
    assert main([str(tmp_path), "--steps", "300", "--share", "0.1"]) == 0
    wanted = rate_for_drift(trial(), share=0.1, steps=300)
    assert float(capsys.readouterr().out) == pytest.approx(wanted, rel=0.05)
