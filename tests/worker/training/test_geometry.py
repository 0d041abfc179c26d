"""The two terms of the winning part, the geometry of the targets, and the cap on the drift."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from method.training.config import Config, Objective, Validation
from method.training.failures import InvalidConfig
from method.training.winning import read_winning
from tests.worker.training import formulas
from tests.worker.training.datasets import write_dataset
from worker.training.geometry import excess_drift, gap_and_lead
from worker.training.losses import cpo_loss
from worker.training.metrics import read_lines
from worker.training.objectives import losses_of
from worker.training.run import run


def draw(count: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(3, 2, 4, 4, generator=generator, dtype=torch.float64) for _ in range(count)]


def inner(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack([(x * y).mean() for x, y in zip(a, b, strict=True)])


@pytest.mark.parametrize("stabilized", [False, True])
def test_the_winning_part_is_the_sum_of_its_two_terms(stabilized: bool) -> None:
    e, r, w, l = draw(4)
    logged = losses_of(cpo_loss(e, r, w, l, scale=2.0, stabilized=stabilized)).logged
    torch.testing.assert_close(logged["alignment"], -2 * inner(w - r, e - r))
    torch.testing.assert_close(logged["drift"], inner(e - r, e - r))
    torch.testing.assert_close(logged["alignment"] + logged["drift"], logged["win"])


@pytest.mark.parametrize("share", [0.1, 0.5, 1.3])
def test_gap_and_lead_say_how_low_the_winning_part_can_come(share: float) -> None:
    r, w, l = draw(3)
    gap, lead = gap_and_lead(r, w, l)
    torch.testing.assert_close(gap, inner(w - l, w - l))
    torch.testing.assert_close(lead, inner(w - r, w - l))
    win = cpo_loss(r + share * (w - l), r, w, l, scale=2.0, stabilized=True).win
    torch.testing.assert_close(win, share**2 * gap - 2 * share * lead)


@pytest.mark.parametrize("omega", [1.0, 1.5, 2.0, 3.0])
def test_a_flaw_that_adds_puts_the_winner_where_the_guidance_says(omega: float) -> None:
    """w - r = (omega - 1) (unknown - flawed) and w - l = (2 omega - 1) (unknown - flawed)."""
    unknown, flaw = draw(2)
    r = unknown
    w = formulas.guided(unknown + flaw, unknown, omega)
    l = formulas.guided(unknown, unknown + flaw, omega)
    gap, lead = gap_and_lead(r, w, l)
    torch.testing.assert_close(lead / gap, torch.full_like(gap, (omega - 1) / (2 * omega - 1)))


def test_only_what_is_beyond_the_cap_is_pulled_back() -> None:
    r, w, l = draw(3)
    gap, _ = gap_and_lead(r, w, l)
    shares = torch.tensor([0.3, 0.7, 1.1], dtype=torch.float64).view(3, 1, 1, 1)
    e = (r + shares * (w - l)).requires_grad_()
    excess = excess_drift(e, r, gap, 0.25)
    wanted = (shares.flatten() ** 2 - 0.25).clamp_min(0) * gap
    torch.testing.assert_close(excess.detach(), wanted)
    gradient = formulas.gradient(excess.sum(), e)
    assert not gradient[0].any()
    torch.testing.assert_close(gradient[1:], (2 * (e - r) / e[0].numel())[1:].detach())


def test_a_run_with_a_cap_stays_nearer_to_the_reference(cpo: Config, tmp_path: Path) -> None:
    """At a learning rate that is far too large, which is what the cap is for."""
    fast = replace(cpo, optimization=replace(cpo.optimization, max_steps=12, learning_rate=2e-2))
    drifts = {}
    for cap in (None, 0.1):
        folder = tmp_path / f"cap {cap}"
        objective = replace(fast.objective, drift_cap=cap)
        run(replace(fast, run_folder=str(folder), objective=objective))
        last = read_lines(folder / "metrics.jsonl")[-1]
        assert last["win"] == pytest.approx(last["alignment"] + last["drift"], rel=1e-5, abs=1e-7)
        drifts[cap] = last["drift"] / last["gap"]
    assert drifts[0.1] < 0.3 * drifts[None]


def test_validation_tells_the_winning_part_of_held_out_images(cpo: Config, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "houses", 8, validation=3)
    run(replace(cpo, dataset_folder=str(dataset), validation=Validation(every=3)))
    rows = read_lines(Path(cpo.run_folder) / "metrics.jsonl")
    told = [row for row in rows if "validation_win" in row]
    assert [row["step"] for row in told] == [3, 6]
    for row in told:
        terms = row["validation_alignment"] + row["validation_drift"]
        assert row["validation_win"] == pytest.approx(terms, rel=1e-5, abs=1e-9)


def test_a_cap_is_only_for_what_an_expert_teaches(sft: Config) -> None:
    with pytest.raises(InvalidConfig, match="drift_cap"):
        run(replace(sft, objective=Objective(kind="sft", drift_cap=0.4)))


def test_a_run_says_at_its_end_what_its_winning_part_comes_to(cpo: Config) -> None:
    config = replace(cpo, optimization=replace(cpo.optimization, max_steps=20))
    run(config)
    folder = Path(config.run_folder)
    rows = read_lines(folder / "metrics.jsonl")
    found = read_winning(rows, (2.0, 2.0))
    assert found is not None
    assert found.geometry is not None
    said = found.in_words()
    assert json.loads((folder / "result.json").read_text())["winning"] == said
    assert said in (folder / "log.txt").read_text()
    assert said in (folder / "adapter/README.md").read_text()
