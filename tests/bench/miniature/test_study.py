"""The exact world is what it says, gates close, and the same seeds give the same report."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.miniature.arms import STABLE, Size, all_arms, config_of, small_arms
from bench.miniature.backbone import load, pixels_of, point_of
from bench.miniature.drawing import lines, scatter
from bench.miniature.gates import Gate, GatesClosed, enforce, look
from bench.miniature.measuring import errors, hold_out, least_error, open_base, open_run, paint
from bench.miniature.network import Mlp
from bench.miniature.report import write_report
from bench.miniature.running import Found, places_of, study
from bench.miniature.statistics import at_equal_flaws, change
from bench.miniature.world import (
    FLAWS,
    MERITS,
    PROMPTS,
    SPREAD,
    D,
    make_schedule,
    make_world,
    words_of,
)
from method.training.config_checks import refuse_unread
from worker.training.encodings import Encodings

TINY = Size(
    pictures=48, held_out=8, base_steps=12, expert_steps=4, weak_steps=2, steps=3, samples=64
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Found]:
    home = tmp_path_factory.mktemp("study")
    return home, a_tiny_study(home)


def a_tiny_study(home: Path) -> Found:
    chosen = {*STABLE, "gap-0.5", "dpo-500", "lora-gap-0.5", "speed-cpo-500", "speed-cpo_s-500"}
    arms = [arm for arm in all_arms() if arm.name in chosen]
    return study(home, (0, 1), arms, TINY, is_enforced=False)


def test_the_best_prediction_is_the_slope_of_the_density() -> None:
    """E[noise | x_t] = -sigma grad log p(x_t) (Tweedie), for the modes that a condition leaves."""
    world = make_world(3)
    text = f"{PROMPTS[2]}, {MERITS[0]}, {FLAWS[4]}"
    words = words_of([text, "", FLAWS[1]])
    t = torch.tensor([100, 400, 700])
    alpha_bar = make_schedule().alphas_cumprod_T[t].double()
    noisy = torch.randn(3, D, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    for row, (level, known) in enumerate(zip(alpha_bar, words, strict=True)):
        true = (world.words_KV[:, known.bool()] == 1).all(1)
        assert true.sum() == (16, 512, 256)[row]
        middles = level.sqrt() * world.middles_KD[true].double()
        variance = level * SPREAD**2 + 1 - level
        density = torch.logsumexp(-((noisy[row] - middles) ** 2).sum(1) / (2 * variance), 0)
        (slope,) = torch.autograd.grad(density, noisy)
        predicted = world.predict(noisy.detach().float(), alpha_bar.float(), words)[row].double()
        torch.testing.assert_close(
            predicted, -(1 - level).sqrt() * slope[row], rtol=1e-4, atol=1e-4
        )


def test_a_point_travels_as_a_picture() -> None:
    point = make_world(0).draw(torch.tensor([7]), torch.Generator().manual_seed(1))[0]
    assert (point_of(pixels_of(point)) - point).abs().max() < 2e-4


def test_texts_become_words_and_nothing_is_lost(tmp_path: Path, found: tuple[Path, Found]) -> None:
    places = places_of(found[0], 0)
    backbone = load(places.base, torch.device("cpu"), torch.float32)
    encodings = Encodings(backbone, None, null_is_zeros=False)
    texts = [f"{PROMPTS[0]}, {MERITS[3]}, {FLAWS[5]}", FLAWS[0], ""]
    assert torch.equal(encodings.text(texts).hidden_BND[:, 0], words_of(texts))
    with pytest.raises(KeyError):
        backbone.split_prompt("a word that nobody knows")


def test_every_arm_asks_for_what_is_read(tmp_path: Path) -> None:
    arms = all_arms()
    assert len({arm.name for arm in arms}) == len(arms)
    assert {*STABLE, "gap-0.5"} < {arm.name for arm in small_arms()} < {arm.name for arm in arms}
    for arm in arms:
        refuse_unread(config_of(arm, places_of(tmp_path, 0), 0, TINY))


def test_the_same_seeds_give_the_same_report(tmp_path: Path, found: tuple[Path, Found]) -> None:
    again = a_tiny_study(tmp_path / "again")
    for home, each in ((found[0], found[1]), (tmp_path / "again", again)):
        write_report(each, home)
    names = ("report.md", "report.html", "strengths.svg", "speed.svg", "found.json")
    for name in names:
        assert (found[0] / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    report = (found[0] / "report.md").read_text()
    for words in ("gap 0.5", "CPO-S lowers the number", "At equal numbers of negatives", "CLOSED"):
        assert words in report


def test_a_study_of_an_unfit_model_is_refused(tmp_path: Path, found: tuple[Path, Found]) -> None:
    gates = found[1].gates[0]
    assert [gate.is_met for gate in gates].count(False) >= 2
    with pytest.raises(GatesClosed, match=r"show their prompt is .*asked for is at least 0\.9"):
        enforce(gates)
    enforce([replace(gate, is_met=True) for gate in gates])


def test_gates_open_for_the_best_possible_model() -> None:
    world = make_world(1)

    class Best(Mlp):
        def forward(
            self, noisy_BD: torch.Tensor, t_B: torch.Tensor, words_BV: torch.Tensor
        ) -> torch.Tensor:
            levels = make_schedule().alphas_cumprod_T[t_B.long()]
            # Weights take part, so that there is something for them to pull at.
            return world.predict(noisy_BD, levels, words_BV) + 0.0 * super().forward(
                noisy_BD, t_B, words_BV
            )

    best = Best()
    held_out = hold_out(world, 64)
    assert float(errors(best, held_out)["all"].mean()) == pytest.approx(
        least_error(world, held_out, "all"), rel=1e-5
    )
    gates = [gate for gate in look(world, best, best, 64) if "pulls" not in gate.what]
    assert [gate.what for gate in gates if not gate.is_met] == []


def test_an_adapter_is_measured_as_it_was_trained(found: tuple[Path, Found]) -> None:
    home, study_of = found
    places = places_of(home, 0)
    arm = next(arm for arm in study_of.arms if arm.mode == "lora")
    theta, base = open_run(places.base, places.run(arm)), open_base(places.base)
    changed = [
        name
        for name, weight in theta.state_dict().items()
        if not weight.equal(base.state_dict()[name])
    ]
    assert changed and all(name.endswith("weight") for name in changed)
    assert paint(make_world(0), theta, 64).flaws_P == study_of.results[0][arm.name]["flaws_P"]


def known(flaws: dict[str, float], off: dict[str, float]) -> Found:
    """Results of two seeds, every prompt alike but for a little of its own."""
    results = {
        seed: {
            name: {
                "flaws_P": [value + 0.01 * seed + 0.001 * p for p in range(8)],
                "off_P": [off[name] + 0.01 * seed] * 8,
            }
            for name, value in flaws.items()
        }
        for seed in (0, 1)
    }
    return Found((0, 1), (), {}, results)


def test_what_is_compared_at_equal_negatives() -> None:
    flaws = {
        "base": 3.0,
        "cpo_s-5000": 2.0,
        "cpo_s-2000": 1.5,
        "cpo_s-500": 1.0,
        "cpo_s-100": 0.8,
        "half": 2.5,
        "far": 0.5,
    }
    off = {
        "base": 2.0,
        "cpo_s-5000": 3.0,
        "cpo_s-2000": 4.0,
        "cpo_s-500": 5.0,
        "cpo_s-100": 6.0,
        "half": 2.1,
        "far": 9.0,
    }
    made = known(flaws, off)
    assert change(made, "half").shown() == "-0.50 [-0.50, -0.50]"
    against = at_equal_flaws(made, "half", "off_P")
    assert against is not None and against.is_below_zero
    assert against.middle == pytest.approx(2.1 - 2.5, abs=0.02)
    assert at_equal_flaws(made, "far", "off_P") is None


def test_drawings_are_well_formed() -> None:
    import xml.etree.ElementTree as ET

    points = {"a & b": [(0.0, 1.0), (1.0, 30.0)]}
    for svg in (scatter(points, "x", "y", (0, 1)), lines(points, "x", "y", (0, 1), (0, 50))):
        ET.fromstring(svg)


def test_a_gate_says_what_was_found() -> None:
    with pytest.raises(GatesClosed, match=r"gain is 0\.1, asked for is more"):
        enforce([Gate("gain", "0.1", "more", is_met=False)])
