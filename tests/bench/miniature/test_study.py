"""The exact world is what it says, gates close, and the same seeds give the same report."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.miniature.arms import BASE, REWARDED, SFT, STABLE, Size, all_arms, small_arms
from bench.miniature.backbone import load
from bench.miniature.carrying import pixels_of, points_of
from bench.miniature.configs import config_of
from bench.miniature.drawing import lines, scatter
from bench.miniature.gates import Gate, GatesClosed, enforce, look
from bench.miniature.judging import WorldJudge
from bench.miniature.measuring import (
    Guided,
    errors,
    hold_out,
    least_error,
    open_base,
    open_run,
    paint,
    with_negative,
)
from bench.miniature.network import Mlp, network_for
from bench.miniature.report import write_report
from bench.miniature.running import Found, places_of, study
from bench.miniature.schedule import make_schedule
from bench.miniature.statistics import at_equal_flaws, change
from bench.miniature.world import LANGUAGE, SPREAD, WORDS, D, make_world
from method.training.config import Words
from method.training.config_checks import refuse_unread
from taxonomy.tree import Side
from worker.agents.agent import Account, NoMemory
from worker.training.backbones.autoencoder import to_picture
from worker.training.encodings import Encodings
from worker.training.examples import read_dataset

PROMPTS, MERITS, FLAWS = LANGUAGE.prompts, LANGUAGE.merits, LANGUAGE.flaws
KEYS, REWARDS, SPOKEN = LANGUAGE.keys, LANGUAGE.rewards, LANGUAGE.spoken
words_of = LANGUAGE.words_of
TINY = Size(
    pictures=48, held_out=8, base_steps=12, expert_steps=4, weak_steps=2, steps=3, samples=64
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Found]:
    home = tmp_path_factory.mktemp("study")
    return home, a_tiny_study(home)


def a_tiny_study(home: Path) -> Found:
    chosen = {
        *STABLE,
        "gap-0.5",
        "cpo-guarded-weights-5000",
        "dpo-5000",
        "lora-gap-0.5",
        "speed-cpo-500",
        "speed-cpo_s-500",
    }
    chosen |= {
        "spo",
        "npo-5000",
        *(f"{each}-cpo_s-{beta}" for each in REWARDED for beta in (500, 5000)),
    }
    chosen |= {arm.name for arm in all_arms() if arm.shows and arm.guidance == 1.5}
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
        true = (world.words_KV[:, known[: len(WORDS)].bool()] == 1).all(1)
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
    points = make_world(0).draw(torch.tensor([7, 8]), torch.Generator().manual_seed(1))
    assert (points_of(pixels_of(points), D) - points).abs().max() < 2e-4


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
        if not arm.shows:
            refuse_unread(config_of(arm, places_of(tmp_path, 0), 0, TINY))
            continue
        needed = {arm.shows, arm.negative} - {"", BASE, SFT}
        assert needed < {other.name for other in arms if not other.shows} or not needed
        with pytest.raises(ValueError, match="is not trained"):
            config_of(arm, places_of(tmp_path, 0), 0, TINY)


def test_the_same_seeds_give_the_same_report(tmp_path: Path, found: tuple[Path, Found]) -> None:
    again = a_tiny_study(tmp_path / "again")
    for home, each in ((found[0], found[1]), (tmp_path / "again", again)):
        write_report(each, home)
    names = ("report.md", "report.html", "strengths.svg", "speed.svg", "found.json")
    for name in names:
        assert (found[0] / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    report = (found[0] / "report.md").read_text()
    for words in (
        "Table 2",
        "+ NPO",
        "SPO",
        "gap 0.5",
        "CPO-S lowers the number",
        "At equal numbers of negatives",
        "CLOSED",
    ):
        assert words in report


def test_the_world_judges_what_a_picture_holds() -> None:
    world = make_world(2)
    mode, judge = 77, WorldJudge(world)
    picture = to_picture(pixels_of(world.middles_KD[mode][None])[0])
    found = {each.key: each.polarity for each in judge.label(picture, Account(), NoMemory())}
    flawed = world.flaws_KA[mode].tolist()
    assert found == {
        key: "negative" if is_flaw else "positive"
        for key, is_flaw in zip(KEYS, flawed, strict=True)
    }
    few = judge.only(KEYS[:1])
    assert few.decides == {Side(KEYS[0], "negative"), Side(KEYS[0], "positive")}
    assert [each.key for each in few.label(picture, Account(), NoMemory())] == [KEYS[0]]


def test_coarser_words_are_those_of_the_trainer(found: tuple[Path, Found]) -> None:
    """Held-out pictures are told of as the trainer tells experts of its own."""
    for reducer in REWARDED:
        held_out = hold_out(make_world(0), 64, reducer)
        plain = hold_out(make_world(0), 64)
        assert torch.equal(held_out.noisy_BD, plain.noisy_BD)
        assert torch.equal(held_out.content_BV, plain.content_BV)
        assert not held_out.conditions["all"][:, len(PROMPTS) : len(WORDS)].any()
        told = [
            {word for word, is_there in zip(SPOKEN, row, strict=True) if is_there}
            for row in held_out.positive_BV
        ]
        assert set().union(*told) <= {word for word in REWARDS if word.startswith(("high", "good"))}
        good = held_out.positive_BV[:, len(WORDS) :].sum() > 0
        assert good and held_out.negative_BV[:, len(WORDS) :].sum() > 0
        words = Words(reducer=reducer)
        examples = read_dataset(places_of(found[0], 0).dataset, "train", words).examples
        assert {word for each in examples for word in each.texts.all.split(", ")} <= {
            *PROMPTS,
            *REWARDS,
        }


def test_guidance_against_a_negative_is_the_sum_of_changes() -> None:
    torch.manual_seed(0)
    base, theta, npo = (network_for(make_world(0), width=8) for _ in range(3))
    made = with_negative(theta, npo, base).state_dict()
    for name, weight in base.state_dict().items():
        expected = theta.state_dict()[name] + npo.state_dict()[name] - weight
        torch.testing.assert_close(made[name], expected)
    words = words_of([PROMPTS[0]])
    seen = (torch.randn(1, D), torch.tensor([500]))
    toward, away = theta(*seen, words), npo(*seen, torch.zeros_like(words))
    torch.testing.assert_close(Guided(theta, npo, 3.0)(*seen, words), 3 * toward - 2 * away)


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

    best = Best(D, len(WORDS), len(REWARDS))
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
