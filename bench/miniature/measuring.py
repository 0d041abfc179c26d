"""What a trained network is measured by: what it paints from prompts alone, and what it predicts on held-out pictures.

Shape letters as in `world`; P prompts.
"""

from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.miniature.arms import Reducer
from bench.miniature.backbone import CLASS, load
from bench.miniature.kinds import World
from bench.miniature.language import Language
from bench.miniature.network import open_network
from bench.miniature.sampling import denoise
from bench.miniature.schedule import TIMESTEPS, make_schedule
from bench.miniature.world import MENTIONED, ExactWorld
from worker.training.adapters import attach_adapter, merged_copy
from worker.training.losses import cpo_loss, guided
from worker.training.reducing import binary_labels, count_labels, median_score, scalar_labels

STEPS = 25
HELD_OUT = 1024


@dataclass(frozen=True, slots=True)
class Painted:
    """What was painted from each prompt, the same noise for every network."""

    flaws_P: list[float]
    """Negative attributes in a picture, by prompt."""
    off_P: list[float]
    """Squared distance to the nearest mode in units of its spread, by prompt."""
    content: float
    """Share of pictures that show their prompt."""
    distance: float
    """Frechet distance to everything there is in the world."""

    @property
    def flaws(self) -> float:
        return sum(self.flaws_P) / len(self.flaws_P)

    @property
    def off(self) -> float:
        return sum(self.off_P) / len(self.off_P)


@dataclass(frozen=True, slots=True)
class Moved:
    """How predictions changed on held-out pictures (Eq. 12), means over all of them."""

    win: float
    lose: float
    drift: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Pictures that no run has seen, noised, and the words that an annotator would say of them."""

    noisy_BD: Tensor
    noise_BD: Tensor
    t_B: Tensor
    content_BV: Tensor
    positive_BV: Tensor
    negative_BV: Tensor

    @property
    def conditions(self) -> dict[str, Tensor]:
        """The words of each of the expert's conditions."""
        return {
            "content": self.content_BV,
            "positive": self.content_BV + self.positive_BV,
            "negative": self.negative_BV,
            "all": self.content_BV + self.positive_BV + self.negative_BV,
            "null": torch.zeros_like(self.content_BV),
        }


def paint(world: World, network: nn.Module, count: int, words_V: Tensor | None = None) -> Painted:
    """Paint `count` pictures, as many from each prompt, with `words_V` added to every one."""
    generator = torch.Generator().manual_seed(1)
    language = world.language
    prompts = len(language.prompts)
    prompts_B = torch.arange(prompts).repeat_interleave(count // prompts)
    words_BV = torch.zeros(len(prompts_B), len(language.spoken))
    words_BV[torch.arange(len(prompts_B)), prompts_B] = 1
    if words_V is not None:
        words_BV = words_BV + words_V
    start_BD = torch.randn(len(prompts_B), world.size, generator=generator)
    points_BD = denoise(network, start_BD, words_BV, STEPS)
    modes_B, off_B = world.nearest(points_BD)
    return Painted(
        flaws_P=_by_prompt(world.flaws_KA[modes_B].sum(1), prompts),
        off_P=_by_prompt(off_B, prompts),
        content=float((world.prompts_K[modes_B] == prompts_B).float().mean()),
        distance=_frechet(points_BD, world),
    )


def hold_out(world: World, count: int = HELD_OUT, reducer: Reducer = "complex") -> HeldOut:
    """Draw held-out pictures of a world; of the same seed, whatever is made of their attributes."""
    generator = torch.Generator().manual_seed(2)
    modes_B = world.draw_modes(count, generator)
    points_BD = world.draw(modes_B, generator)
    noise_BD = torch.randn(points_BD.shape, generator=generator)
    t_B = torch.randint(TIMESTEPS, (count,), generator=generator)
    words_BV, first = world.words_KV[modes_B], len(world.language.prompts)
    said_BA = (torch.rand(count, world.flaws_KA.shape[1], generator=generator) < MENTIONED).float()
    said_BV = torch.cat([torch.zeros(count, first), said_BA, said_BA], 1) * words_BV
    content_BV, positive_BV, negative_BV = (torch.zeros_like(words_BV) for _ in range(3))
    content_BV[:, :first] = words_BV[:, :first]
    middle = first + said_BA.shape[1]
    positive_BV[:, first:middle], negative_BV[:, middle:] = (
        said_BV[:, first:middle],
        said_BV[:, middle:],
    )
    said_of = [
        torch.nn.functional.pad(each, (0, len(world.language.rewards)))
        for each in (content_BV, positive_BV, negative_BV)
    ]
    if reducer != "complex":
        said_of[1:] = _rewarded(
            world.language, positive_BV[:, first:middle], negative_BV[:, middle:], reducer
        )
    noisy_BD = make_schedule().noisy(points_BD, noise_BD, t_B)
    return HeldOut(noisy_BD, noise_BD, t_B, *said_of)


def _rewarded(
    language: Language, merits_BA: Tensor, flaws_BA: Tensor, reducer: Reducer
) -> tuple[Tensor, Tensor]:
    """The words that a reducer makes of attributes, (B, V) for either side."""
    keys = [
        [[key for key, is_said in zip(language.keys, row, strict=True) if is_said] for row in side]
        for side in (merits_BA.tolist(), flaws_BA.tolist())
    ]
    tallies = [count_labels(language.criteria, *each) for each in zip(*keys, strict=True)]
    typical = median_score(tallies)
    assert typical is not None
    labels = [
        binary_labels(each) if reducer == "binary" else scalar_labels(each, typical)
        for each in tallies
    ]
    good, bad = (
        language.words_of([", ".join(names) for names in side])
        for side in zip(*labels, strict=True)
    )
    return good, bad


@torch.no_grad()
def errors(network: nn.Module, held_out: HeldOut) -> dict[str, Tensor]:
    """Mean squared error of each held-out picture under each condition, (B,)."""
    found = {}
    for name, words_BV in held_out.conditions.items():
        predicted_BD = network(held_out.noisy_BD, held_out.t_B, words_BV)
        found[name] = ((predicted_BD - held_out.noise_BD) ** 2).mean(1)
    return found


def least_error(world: ExactWorld, held_out: HeldOut, condition: str) -> float:
    """The mean squared error of the best possible model."""
    alpha_bar_B = make_schedule().alphas_cumprod_T[held_out.t_B]
    words_BV = held_out.conditions[condition]
    predicted_BD = world.predict(held_out.noisy_BD, alpha_bar_B, words_BV)
    return float(((predicted_BD - held_out.noise_BD) ** 2).mean())


@torch.no_grad()
def targets(expert: nn.Module, held_out: HeldOut, omega: float = 2.0) -> tuple[Tensor, Tensor]:
    """Winner and loser (Eq. 10 and 11), (B, D) each."""
    asked = {
        name: expert(held_out.noisy_BD, held_out.t_B, words_BV)
        for name, words_BV in held_out.conditions.items()
    }
    return (
        guided(asked["negative"], asked["positive"], omega),
        guided(asked["null"], asked["all"], omega),
    )


@torch.no_grad()
def moved(
    network: nn.Module, base: nn.Module, expert: nn.Module, held_out: HeldOut, omega: float = 2.0
) -> Moved:
    """How a network's predictions from prompts alone differ from the base's, by the expert's targets."""
    seen = (held_out.noisy_BD, held_out.t_B, held_out.content_BV)
    winner, loser = targets(expert, held_out, omega)
    found = cpo_loss(network(*seen), base(*seen), winner, loser, scale=1.0, stabilized=False)
    return Moved(*(float(each.mean()) for each in (found.win, found.lose, found.drift)))


class Guided(nn.Module):
    """A network under guidance, away from what `negative` predicts for no words at all."""

    def __init__(self, network: nn.Module, negative: nn.Module, scale: float) -> None:
        super().__init__()
        self.network, self.negative, self.scale = network, negative, scale

    def forward(self, noisy_BD: Tensor, t_B: Tensor, words_BV: Tensor) -> Tensor:
        """Predict, (B, D)."""
        away = self.negative(noisy_BD, t_B, torch.zeros_like(words_BV))
        return guided(away, self.network(noisy_BD, t_B, words_BV), self.scale)


@torch.no_grad()
def with_negative(network: nn.Module, negative: nn.Module, base: nn.Module) -> nn.Module:
    """The negative side of guidance: base + the change of an npo run + that of `network`, as the trainer's own
    guidance does with merge 0. All three are whole networks; the result is a new one.
    """
    made, npo, start = deepcopy(network), negative.state_dict(), base.state_dict()
    for name, weight in made.state_dict().items():
        weight.add_(npo[name] - start[name])
    return made


def open_run(base: Path, run: Path) -> nn.Module:
    """The network that a run left: a whole one, or its adapter merged into the base."""
    if (run / "network").is_dir():
        return open_network(run / "network")
    backbone = load(base, torch.device("cpu"), torch.float32)
    weights, metadata = backbone.load_adapter(run)
    attach_adapter(backbone.network, "theta", weights, metadata, CLASS)
    return merged_copy(backbone.network, "theta").requires_grad_(False)


def open_base(base: Path) -> nn.Module:
    """What all runs of a seed start from."""
    return open_network(base / "network")


def as_values(painted: Painted, change: Moved) -> dict[str, Any]:
    """Both as plain values, for a file."""
    return asdict(painted) | asdict(change)


def _by_prompt(values_B: Tensor, prompts: int) -> list[float]:
    means_P: list[float] = values_B.float().view(prompts, -1).mean(1).tolist()
    return means_P


def _frechet(points_BD: Tensor, world: World) -> float:
    """Between the Gaussians that fit the points and the world (Dowson and Landau 1982)."""
    mean_D, covariance_DD = world.moments
    points_BD = points_BD.double()
    ours_DD = torch.cov(points_BD.T)
    values, vectors = torch.linalg.eigh(covariance_DD)
    root_DD = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
    between = torch.linalg.eigvalsh(root_DD @ ours_DD @ root_DD).clamp_min(0).sqrt().sum()
    apart = ((points_BD.mean(0) - mean_D) ** 2).sum()
    return float(apart + covariance_DD.trace() + ours_DD.trace() - 2 * between)
