"""Diffusion-DPO on pairs of images, Diffusion-NPO, the same on swapped pairs, and Diffusion-SDPO, safeguarded."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from method.pair_folder import Pair
from worker.training.backbones import Text
from worker.training.batches import Batch
from worker.training.encodings import Stored
from worker.training.losses import diffusion_dpo_loss
from worker.training.objectives import (
    Losses,
    Parts,
    content_of,
    losses_of,
    scale_of,
    weights_of,
)
from worker.training.plan import Pass, Shape
from worker.training.roles import Inputs


class Dpo:
    """Eq. 9: theta gains on the winner against the reference, and loses on the loser.

    NPO swaps the two, as Diffusion-NPO's public code does; SDPO holds the loser back. Implements Objective.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.is_swapped = parts.config.objective.facts.makes_negative

    def item_id(self, item: Pair) -> str:
        """The pair's id: its two pictures share timestep and noise."""
        return item.pair_id

    def is_usable(self, item: Pair) -> bool:
        """Every pair: ties never stand in a pair dataset."""
        del item
        return True

    def pictures(self, item: Pair) -> tuple[Stored, ...]:
        """What to come nearer to, and what to go away from."""
        sides = (item.winner, item.loser)
        return sides[::-1] if self.is_swapped else sides

    def texts(self, item: Pair) -> tuple[str, ...]:
        return (item.prompt,)

    def windows(self, item: Pair) -> tuple[int, ...]:
        """As many as the prompt takes."""
        return (self.parts.encodings.windows([item.prompt]),)

    def load(self, items: Sequence[Pair], this_pass: Pass, shape: Shape, epoch: int) -> Batch:
        """Noise both sides of each pair with the same draw."""
        parts, ids = self.parts, [item.pair_id for item in items]
        *size, windows = shape
        sides = zip(*map(self.pictures, items), strict=True)
        contents = [content_of(parts, item.pair_id, item.prompt, epoch) for item in items]
        batch = Batch(
            epoch=epoch,
            items=tuple(items),
            weight_B=weights_of(this_pass),
            views=tuple(
                parts.drawing.noise(parts.encodings, side, ids, size, epoch) for side in sides
            ),
            texts={"content": parts.encodings.text(contents, windows)},
        )
        return replace(batch, predictions=self._ask_reference(batch)) if parts.asks_ahead else batch

    def compute(self, batch: Batch) -> Losses:
        """Both sides of all pairs in one batch, for the reference and for theta."""
        winner, loser = batch.views
        references = batch.predictions or self._ask_reference(batch)
        winner_reference, loser_reference = references["reference"].chunk(2)
        # Theta last: no adapter is switched between this forward and its backward pass.
        predicted = self.parts.roles.predict("theta", _both(batch))
        winner_prediction, loser_prediction = predicted.chunk(2)
        found = diffusion_dpo_loss(
            winner_prediction,
            loser_prediction,
            winner_reference,
            loser_reference,
            winner.target_BCHW,
            loser.target_BCHW,
            scale=scale_of(self.parts, winner),
            guards_winner=self.parts.config.objective.facts.guards_winner,
        )
        return losses_of(found)

    def _ask_reference(self, batch: Batch) -> dict[str, Tensor]:
        return {"reference": self.parts.roles.predict("reference", _both(batch))}


make = Dpo


def _both(batch: Batch) -> Inputs:
    """The winners, then the losers."""
    (winner, loser), text = batch.views, batch.texts["content"]
    return Inputs(
        noisy_BCHW=torch.cat([winner.noisy_BCHW, loser.noisy_BCHW]),
        t_B=torch.cat([winner.t_B, loser.t_B]),
        text=Text(text.hidden_BND.repeat(2, 1, 1), text.pooled_BD.repeat(2, 1)),
        size_ids_B6=torch.cat([winner.size_ids_B6, loser.size_ids_B6]),
    )
