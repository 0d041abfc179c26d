"""What must hold before anything is compared: a study of a model that paints no prompts, or of an expert that
knows no attributes, says nothing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.miniature.kinds import World
from bench.miniature.measuring import HeldOut, errors, hold_out, least_error, paint, targets
from bench.miniature.world import ExactWorld

CHECKED = 2048
"""Pictures that the checker is tried with."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition, with what was found."""

    what: str
    found: str
    asked: str
    is_met: bool


class GatesClosed(Exception):
    """Names the gates that are not met."""


def look(world: World, base: nn.Module, expert: nn.Module, samples: int) -> list[Gate]:
    """Measure every gate of one seed."""
    held_out = hold_out(world)
    return [
        *_of_the_checker(world),
        *_of_the_base(world, base, samples),
        *_of_the_expert(world, expert, held_out, samples),
        *_of_the_geometry(base, expert, held_out),
    ]


def enforce(gates: list[Gate]) -> None:
    """Raise GatesClosed where one is not met."""
    closed = [
        f"{gate.what} is {gate.found}, asked for is {gate.asked}"
        for gate in gates
        if not gate.is_met
    ]
    if closed:
        raise GatesClosed("; ".join(closed))


def _of_the_checker(world: World) -> list[Gate]:
    """Each attribute by itself: the worst one counts. Read as drawn, and as the autoencoder gives it back."""
    generator = torch.Generator().manual_seed(3)
    modes_B = world.draw_modes(CHECKED, generator)
    pixels_BCHW = world.draw_pixels(modes_B, generator)
    again_BCHW = world.pixels_of(world.points_of(pixels_BCHW))
    gates = []
    for what, pictures in (
        ("pictures as drawn", pixels_BCHW),
        ("what the autoencoder gives back", again_BCHW),
    ):
        found_B, _ = world.read(pictures)
        right_A = (world.flaws_KA[found_B] == world.flaws_KA[modes_B]).float().mean(0)
        least = (
            f"how often the checker reads an attribute right in {what}, the worst of {len(right_A)}"
        )
        gates.append(_least(least, float(right_A.min()), 0.95, ".4f"))
    return gates


def _of_the_base(world: World, base: nn.Module, samples: int) -> list[Gate]:
    painted, truth = paint(world, base, samples), len(world.language.flaws) / 2
    return [
        _least("pictures of the base that show their prompt", painted.content, 0.9, ".3f"),
        Gate(
            "negatives in a picture of the base",
            f"{painted.flaws:.2f}",
            f"{truth:.2f} ± 10 %, as in the data",
            abs(painted.flaws - truth) <= 0.1 * truth,
        ),
    ]


def _of_the_expert(world: World, expert: nn.Module, held_out: HeldOut, samples: int) -> list[Gate]:
    found = errors(expert, held_out)
    gain_B = found["content"] - found["all"]
    gain, half = float(gain_B.mean()), 1.96 * float(gain_B.std()) / len(gain_B) ** 0.5
    asked = "above 0"
    if isinstance(world, ExactWorld):
        best = least_error(world, held_out, "content") - least_error(world, held_out, "all")
        asked = f"above 0 (the best possible: {best:.4f})"
    language = world.language
    good, plain, bad = (
        paint(world, expert, samples, words_V).flaws
        for words_V in (_words(world, language.merits), None, _words(world, language.flaws))
    )
    return [
        Gate(
            "attribute gain of the expert, err(y) - err(all)",
            f"{gain:.4f} ± {half:.4f}",
            asked,
            gain - half > 0,
        ),
        Gate(
            "negatives in a picture of the expert, told of merits / of nothing / of flaws",
            f"{good:.2f} / {plain:.2f} / {bad:.2f}",
            "each 1 above the one before",
            good + 1 <= plain <= bad - 1,
        ),
    ]


def _of_the_geometry(base: nn.Module, expert: nn.Module, held_out: HeldOut) -> list[Gate]:
    """Whether the winner lies ahead along the gap, for predictions and for the weights that make them."""
    seen = (held_out.noisy_BD, held_out.t_B, held_out.content_BV)
    winner, loser = targets(expert, held_out)
    with torch.no_grad():
        ahead_BD = winner - base(*seen)
    gap_BD = winner - loser
    lead, gap = float((ahead_BD * gap_BD).mean()), float((gap_BD**2).mean())
    g_a, g_d = (_pull(base, seen, vector) for vector in (ahead_BD, gap_BD))
    cosine = float(g_a @ g_d / (g_a.norm() * g_d.norm()))
    return [
        Gate(
            "E <w-r, w-l> / E |w-l|^2",
            f"{lead / gap:.3f}",
            "above 0 (where attributes add: 0.333)",
            lead > 0,
        ),
        Gate(
            "cosine of the pulls of w-r and w-l on the weights",
            f"{cosine:.3f}",
            "above 0",
            cosine > 0,
        ),
    ]


def _pull(network: nn.Module, seen: tuple[Tensor, Tensor, Tensor], vector_BD: Tensor) -> Tensor:
    """The sum over pictures of J^T v, one long vector: where a step along v would lead the weights."""
    weights = [weight.requires_grad_() for weight in network.parameters()]
    try:
        found = torch.autograd.grad((network(*seen) * vector_BD).sum(), weights)
    finally:
        network.requires_grad_(False)
    return torch.cat([each.flatten() for each in found])


def _words(world: World, chosen: tuple[str, ...]) -> Tensor:
    return torch.tensor([float(word in chosen) for word in world.language.spoken])


def _least(what: str, found: float, asked: float, form: str) -> Gate:
    return Gate(what, format(found, form), f"at least {asked}", found >= asked)
