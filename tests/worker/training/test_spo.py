"""Step-aware preference optimisation: what is judged, what is learned, and that runs repeat."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image
from safetensors.torch import load_file

from method.training.config import (
    Checkpoints,
    Config,
    Data,
    Lora,
    Model,
    Objective,
    Optimization,
    Theta,
)
from method.training.config import Spo as Options
from method.training.failures import InvalidConfig, InvalidDataset, Stopped
from taxonomy.formats.json import sha256, write_json
from taxonomy.formats.yaml import read_yaml
from taxonomy.tree import Polarity
from tests.worker.training.datasets import seal, write_dataset
from worker.agents import measured
from worker.agents.measured import Finding
from worker.agents.rules import RULES, Ties
from worker.training.backbones.diffusers_backbone import DiffusersBackbone
from worker.training.batches import Batch
from worker.training.examples import read_dataset
from worker.training.metrics import read_lines
from worker.training.models import load_models
from worker.training.noise import generator_for
from worker.training.objectives import spo
from worker.training.objectives.registry import make_parts
from worker.training.objectives.spo import Duel, Spo
from worker.training.plan import Pass
from worker.training.roles import Inputs, Role
from worker.training.run import run
from worker.training.tiny_model import Kind, make_tiny_model

CPU = torch.device("cpu")
PAINTING = Path(__file__).parents[3] / "taxonomy/painting.yaml"
LN_2 = pytest.approx(math.log(2), abs=1e-6)


@pytest.fixture(scope="session")
def paintings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images of one shape under criteria that the measured agent decides in part."""
    folder = write_dataset(tmp_path_factory.mktemp("spo") / "data", 3, shapes=[(64, 64)])
    criteria = read_yaml(PAINTING.read_text())
    (folder / "criteria.json").write_text(write_json(criteria))
    seal(folder, criteria={"name": "Painting", "number": 1, "sha256": sha256(criteria)})
    return folder


@pytest.fixture
def config(tmp_path: Path, tiny_model: Path, paintings: Path) -> Config:
    """Four steps, the second and third of them judged, one image a step."""
    return Config(
        run_folder=str(tmp_path / "run"),
        dataset_folder=str(paintings),
        model=Model(path=str(tiny_model)),
        objective=Objective(kind="spo"),
        spo=Options(steps=4, first=1, guidance=2.0, least_gap=0.0, train_steps=2),
        data=Data(resolution=64),
        lora=Lora(rank=4),
        optimization=Optimization(max_steps=4, batch_size=1, learning_rate=1e-3),
        device="cpu",
        threads=1,
    )


def make(config: Config) -> Spo:
    return Spo(make_parts(config, load_models(config, CPU)))


def load(objective: Spo, count: int = 2, epoch: int = 0) -> Batch:
    examples = read_dataset(Path(str(objective.parts.config.dataset_folder)), "train").examples
    this_pass = Pass(tuple(range(count)), (1.0,) * count)
    return objective.load(examples[:count], this_pass, (64, 64, 1), epoch)


def judge_by(
    monkeypatch: pytest.MonkeyPatch, score: Callable[[Image.Image], tuple[int, int]]
) -> None:
    """Replace the agent by one that finds so many negative and positive attributes."""
    key = min(rule.key for rule in RULES if rule.positive and rule.negative)

    def label_image(image: Image.Image, ties: Ties) -> list[Finding]:
        del ties
        negative, positive = score(image)
        sides: list[Polarity] = [*["negative"] * negative, *["positive"] * positive]  # type: ignore[list-item]
        return [Finding(key, side, "", 0.0, 0.0, "", 1.0) for side in sides]

    monkeypatch.setattr(measured, "label_image", label_image)


def by_brightness(image: Image.Image) -> tuple[int, int]:
    """Dark pictures win; there is hardly ever a tie."""
    return sum(image.convert("L").tobytes()) // 64, 0


def in_turn(*scores: tuple[int, int]) -> Callable[[Image.Image], tuple[int, int]]:
    """Scores for the pictures in the order in which they are judged."""
    left = list(scores)
    return lambda _: left.pop(0)


def test_a_run_starts_at_log_2_and_learns(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with the agent as the judge, which may say nothing of any picture that a tiny network makes."""
    judge_by(monkeypatch, by_brightness)
    options = replace(config.spo, candidates=12, guidance=5.0, first=0)
    run(replace(config, spo=options))
    folder = Path(config.run_folder)
    rows = read_lines(folder / "metrics.jsonl")
    paired = [row for row in rows if row["pairs"] > 0]
    assert len(paired) > 1
    assert paired[0]["loss"] == LN_2
    assert (paired[0]["factor"], paired[0]["accuracy"], paired[0]["win"]) == (0.5, 0.5, 0)
    assert all(row["grad_norm"] > 0 for row in paired)
    assert paired[-1]["win"] != 0
    weights = load_file(folder / "adapter/pytorch_lora_weights.safetensors")
    assert any(tensor.abs().max() > 0 for name, tensor in weights.items() if "lora_B" in name)


def test_runs_repeat_and_resume_bit_for_bit(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, by_brightness)
    config = replace(config, checkpoints=Checkpoints(every=1))
    found = []
    stopped = tmp_path / "stopped"
    with pytest.raises(Stopped, match="after step 2"):
        run(replace(config, run_folder=str(stopped)), lambda: is_at_step(stopped, 2))
    for name in ("once", "again", "stopped"):
        run(replace(config, run_folder=str(tmp_path / name)))
        rows = read_lines(tmp_path / name / "metrics.jsonl")
        losses = [(row["step"], row["loss"], row["pairs"], row["grad_norm"]) for row in rows]
        weights = tmp_path / name / "adapter/pytorch_lora_weights.safetensors"
        found.append((losses, weights.read_bytes()))
    assert found[0] == found[1] == found[2]
    assert [step for step, *_ in found[0][0]] == [1, 2, 3, 4]
    assert all(pairs > 0 for _, _, pairs, _ in found[0][0])


def is_at_step(folder: Path, step: int) -> bool:
    return any(row["step"] == step for row in read_lines(folder / "metrics.jsonl"))


def test_a_step_down_the_gradient_makes_winners_likelier(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, by_brightness)
    objective = make(config)
    batch, roles = load(objective), objective.parts.roles
    first = objective.compute(batch)
    assert first.loss_B.tolist() == [LN_2, LN_2]
    roles.check_ready()
    first.loss_B.sum().backward()
    with torch.no_grad():
        for parameter in roles.theta.values():
            assert parameter.grad is not None
            parameter.sub_(1e-2 * parameter.grad)
    second = objective.compute(batch)
    assert (second.loss_B < first.loss_B).all()
    assert (second.logged["win"] > second.logged["lose"]).all()
    assert (second.logged["accuracy"] == 1).all()
    assert all(parameter.grad is None for parameter in roles.others.values())


def test_theta_comes_to_paint_what_the_judge_prefers(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def count(image: Image.Image) -> tuple[int, int]:
        seen.append(by_brightness(image)[0])
        return seen[-1], 0

    judge_by(monkeypatch, count)
    objective = make(config)
    theta = objective.parts.roles.theta.values()
    optimizer = torch.optim.AdamW(theta, lr=1e-2)
    means = []
    for _ in range(5):
        seen.clear()
        found = objective.compute(load(objective))
        means.append(sum(seen) / len(seen))
        optimizer.zero_grad()
        found.loss_B.sum().backward()
        optimizer.step()
    assert means[-1] < means[0]


@pytest.fixture
def duels(monkeypatch: pytest.MonkeyPatch) -> list[list[Duel]]:
    """The pairs of each trajectory that is made, in the order of its steps."""
    found: list[list[Duel]] = []

    def keep(made: list[Duel], generator: torch.Generator) -> list[Duel]:
        del generator
        found.append(made)
        return made

    monkeypatch.setattr(spo, "_shuffled", keep)
    return found


def nearest(pictures: list[torch.Tensor], latent: torch.Tensor) -> int:
    likeness = [torch.cosine_similarity(p.flatten(), latent.flatten(), 0) for p in pictures]
    return int(torch.stack(likeness).argmax())


def test_fewer_negatives_win_then_more_positives(
    config: Config, monkeypatch: pytest.MonkeyPatch, duels: list[list[Duel]]
) -> None:
    judge_by(monkeypatch, in_turn((2, 0), (1, 1), (1, 4), (3, 2), (3, 0), (0, 0)))
    objective = make(replace(config, spo=replace(config.spo, candidates=3)))
    judged: list[torch.Tensor] = []
    backbone = objective.parts.backbone
    decode = backbone.decode_image

    def keep(latent: torch.Tensor) -> torch.Tensor:
        judged.append(latent)
        return decode(latent)

    monkeypatch.setattr(backbone, "decode_image", keep)
    found = objective.compute(load(objective, 1))
    ((first, second),) = duels
    assert found.logged["pairs"].tolist() == [1.0]
    # What is judged is an estimate of the picture that a candidate becomes, and like no other's.
    places = [nearest(judged, each) for each in (first.winner_CHW, first.loser_CHW)]
    places += [nearest(judged, each) for each in (second.winner_CHW, second.loser_CHW)]
    assert places == [2, 0, 5, 4]
    assert [first.step.t, second.step.t] == [501, 251]


def test_a_pair_comes_from_one_latent_and_the_next_goes_on_from_a_candidate(
    config: Config, monkeypatch: pytest.MonkeyPatch, duels: list[list[Duel]]
) -> None:
    judge_by(monkeypatch, in_turn(*[(1, 0), (2, 0)] * 4))
    objective = make(config)
    objective.compute(load(objective))
    assert [len(each) for each in duels] == [2, 2]
    for first, second in duels:
        candidates = (first.winner_CHW, first.loser_CHW)
        assert sum(torch.equal(second.noisy_CHW, each) for each in candidates) == 1


def test_candidates_are_draws_of_diffusers_ddim_under_guidance(
    config: Config, monkeypatch: pytest.MonkeyPatch, duels: list[list[Duel]]
) -> None:
    judge_by(monkeypatch, in_turn(*[(1, 0), (2, 0)] * 3))
    options = replace(config.spo, first=0, guidance=3.0)
    objective = make(replace(config, spo=options))
    batch = load(objective, 1)
    objective.compute(batch)
    parts, image_id = objective.parts, batch.items[0].image_id
    assert isinstance(parts.backbone, DiffusersBackbone)
    scheduler: Any = DDIMScheduler.from_config(
        parts.backbone.pipeline.scheduler.config, clip_sample=False
    )
    scheduler.set_timesteps(4)
    texts = parts.encodings.text(["", batch.items[0].texts.content])
    size_ids = torch.tensor([[64.0, 64, 0, 0, 64, 64]])
    generator = generator_for(config.seed, 0, image_id, "spo walk")
    places = []
    for duel, t in zip(duels[0], scheduler.timesteps[:3], strict=True):
        noisy, t_B = duel.noisy_CHW[None], t[None].float()
        empty, content = (
            parts.roles.predict("theta", Inputs(noisy, t_B, texts.row(i), size_ids)).detach()
            for i in (0, 1)
        )
        assert (content - empty).abs().max() > 1e-3
        guided = empty + 3.0 * (content - empty)
        noise = torch.randn(2, *duel.noisy_CHW.shape, generator=generator)
        for drawn, each in ((duel.winner_CHW, noise[:1]), (duel.loser_CHW, noise[1:])):
            expected = scheduler.step(guided, t, noisy, eta=1.0, variance_noise=each).prev_sample
            torch.testing.assert_close(drawn[None], expected, rtol=1e-4, atol=1e-4)
        places.append(int(torch.randint(2, (), generator=generator)))
    # Where the trajectory goes on matters from the first step to the next.
    assert 1 in places[:2]


def test_small_gaps_are_not_learned_from(
    config: Config, monkeypatch: pytest.MonkeyPatch, duels: list[list[Duel]]
) -> None:
    judge_by(monkeypatch, in_turn((1, 5), (1, 0), (4, 0), (2, 0)))
    objective = make(replace(config, spo=replace(config.spo, least_gap=2.0)))
    found = objective.compute(load(objective, 1))
    assert [duel.step.t for duel in duels[0]] == [251]
    assert found.logged["pairs"].tolist() == [0.5]
    assert found.loss_B.tolist() == [LN_2]


@pytest.mark.parametrize("judged", [[(1, 0)] * 8, [(1, 0)] * 2 + [(1, 0), (2, 0)] + [(1, 0)] * 4])
def test_images_without_a_pair_have_no_loss_and_no_gradient(
    config: Config, monkeypatch: pytest.MonkeyPatch, judged: list[tuple[int, int]]
) -> None:
    judge_by(monkeypatch, in_turn(*judged))
    objective = make(config)
    found = objective.compute(load(objective))
    has_pair = [pairs > 0 for pairs in found.logged["pairs"].tolist()]
    assert has_pair == [False, len(set(judged)) > 1]
    assert found.loss_B.tolist() == [LN_2 if pair else 0 for pair in has_pair]
    assert found.logged["accuracy"].tolist() == found.logged["factor"].tolist() == [0.5, 0.5]
    theta = list(objective.parts.roles.theta.values())
    of_first = torch.autograd.grad(found.loss_B[0], theta, retain_graph=True)
    assert all(gradient.abs().max() == 0 for gradient in of_first)
    of_second = torch.autograd.grad(found.loss_B[1], theta)
    assert any(gradient.abs().max() > 0 for gradient in of_second) == has_pair[1]


def test_a_trajectory_belongs_to_its_image_and_epoch(
    config: Config, monkeypatch: pytest.MonkeyPatch, duels: list[list[Duel]]
) -> None:
    judge_by(monkeypatch, by_brightness)
    objective = make(config)
    for count, epoch in ((1, 0), (2, 0), (1, 1)):
        objective.compute(load(objective, count, epoch))
    alone, beside_another, _, later = (found[0].winner_CHW for found in duels)
    torch.testing.assert_close(alone, beside_another, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(alone, later, atol=0.1)


def test_as_many_pairs_are_learned_from_as_asked(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by(monkeypatch, by_brightness)
    rows = []
    for train_steps in (1, 3):
        options = replace(config.spo, steps=6, first=0, train_steps=train_steps)
        objective = make(replace(config, spo=options))
        roles = objective.parts.roles
        predict = roles.predict

        def count(role: Role, inputs: Inputs, predict: Any = predict) -> torch.Tensor:
            if torch.is_grad_enabled():
                rows.append(len(inputs.noisy_BCHW))
            return predict(role, inputs)  # type: ignore[no-any-return]

        monkeypatch.setattr(roles, "predict", count)
        objective.compute(load(objective))
    # One pass of theta: two images, both sides of guidance.
    assert rows == [4, 12]


@pytest.mark.parametrize("kind", ["sd15", "sdxl-v"])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_other_models_start_at_log_2_and_learn(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, guidance: float
) -> None:
    judge_by(monkeypatch, by_brightness)
    model = make_tiny_model(tmp_path / "tiny", kind, fit=False)
    options = replace(config.spo, guidance=guidance, first=0)
    config = replace(config, model=Model(path=str(model)), spo=options)
    mode: Any = "full" if kind == "sd15" else "lora"
    objective = make(replace(config, theta=Theta(mode=mode)))
    found = objective.compute(load(objective, 1))
    assert found.loss_B.tolist() == [LN_2]
    found.loss_B.sum().backward()
    gradients = [p.grad for p in objective.parts.roles.theta.values() if p.grad is not None]
    assert any(gradient.abs().max() > 0 for gradient in gradients)
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_flow_matching_is_refused(config: Config, tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "flux", "flux", fit=False)
    with pytest.raises(InvalidConfig, match=r"objective\.kind: spo"):
        make(replace(config, model=Model(path=str(model))))


def test_a_trajectory_without_a_step_to_judge_is_refused(config: Config) -> None:
    with pytest.raises(InvalidConfig, match=r"spo\.first: 3 leaves no step to judge of 4"):
        make(replace(config, spo=replace(config.spo, first=3)))


def test_candidates_are_judged_by_the_dataset_s_criteria(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    criteria = read_yaml(PAINTING.read_text())
    known = {rule.key for rule in RULES}
    judged = {side.key for side in make(config).judge.decides}
    assert judged == known & {pair.key for pair in criteria.active_pairs()}
    assert not caplog.records
    others = write_dataset(tmp_path / "others", 1)
    knows = make(replace(config, dataset_folder=str(others))).judge.decides
    assert {side.key for side in knows} == known
    assert "decides no negative attribute of this dataset's criteria" in caplog.text
    (others / "criteria.json").write_text("{}")
    with pytest.raises(InvalidDataset, match=r"criteria\.json: .* hash differs"):
        make(replace(config, dataset_folder=str(others)))
