"""One pass of each stage: from a batch to its losses. The loop calls these without knowing which."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from worker.training.adapters import Roles
from worker.training.backbones import Backbone
from worker.training.batches import Batch, Encodings
from worker.training.config import Objective
from worker.training.examples import Example
from worker.training.losses import cpo_loss, guided, sft_loss
from worker.training.noise import draw_share


@dataclass(frozen=True, slots=True)
class Losses:
    """What a pass gives the loop: the losses to descend and what else to log, each (B,)."""

    loss_B: Tensor
    logged: dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the method, as far as the loop and its preparation need to know."""

    compute: Callable[[Batch], Losses]
    texts: Callable[[Example], tuple[str, ...]]
    """The prompts an image may be conditioned on, to be encoded beforehand."""
    is_usable: Callable[[Example], bool]
    """Whether there is something to learn from the image."""


def make_stage(
    backbone: Backbone, roles: Roles, encodings: Encodings, objective: Objective, seed: int
) -> Stage:
    """The stage that the config asks for."""
    if objective.kind == "sft":
        return _make_sft(backbone, encodings, objective, seed)
    return _make_cpo(backbone, roles, encodings, objective)


def _make_sft(backbone: Backbone, encodings: Encodings, objective: Objective, seed: int) -> Stage:
    def choose_text(example: Example, epoch: int) -> str:
        share = draw_share(seed, epoch, example.image_id, "condition")
        if share < objective.drop_all:
            return example.texts.null
        if share < objective.drop_all + objective.drop_to_neg and example.num_negative:
            return example.texts.negative
        return example.texts.all

    def compute(batch: Batch) -> Losses:
        """Eq. 3: theta learns to predict the noise from y, A_pos and A_neg."""
        text = encodings.text([choose_text(e, batch.epoch) for e in batch.examples])
        predicted = backbone.predict(batch.noisy_BCHW, batch.t_B, text, batch.size_ids_B6)
        return Losses(sft_loss(predicted, batch.noise_BCHW.to(predicted.device)), {})

    return Stage(
        compute=compute,
        texts=lambda e: (e.texts.all, e.texts.negative, e.texts.null),
        is_usable=lambda _: True,
    )


def _make_cpo(
    backbone: Backbone, roles: Roles, encodings: Encodings, objective: Objective
) -> Stage:
    # Half of beta acts on mean errors, as in the public Diffusion-DPO code; omega(lambda) = 1.
    scale = objective.beta / 2

    def predict_targets(batch: Batch) -> tuple[Tensor, Tensor]:
        """Eq. 10 and 11: z_w and z_l from the expert, all its conditions in one batch."""
        texts = {
            "positive": [e.texts.positive for e in batch.examples],
            "all": [e.texts.all for e in batch.examples],
        }
        # A guidance of 1 does not use its other end: a quarter of the expert's work saved.
        if objective.omega_w != 1:
            texts["negative"] = [e.texts.negative for e in batch.examples]
        if objective.omega_l != 1:
            texts["null"] = [e.texts.null for e in batch.examples]
        times = len(texts)
        with roles.frozen("expert"):
            predicted = backbone.predict(
                batch.noisy_BCHW.repeat(times, 1, 1, 1),
                batch.t_B.repeat(times),
                encodings.text([text for of_kind in texts.values() for text in of_kind]),
                batch.size_ids_B6.repeat(times, 1),
            )
        by_kind = dict(zip(texts, predicted.chunk(times), strict=True))
        positive, everything = by_kind["positive"], by_kind["all"]
        return (
            guided(by_kind.get("negative", positive), positive, objective.omega_w),
            guided(by_kind.get("null", everything), everything, objective.omega_l),
        )

    def compute(batch: Batch) -> Losses:
        """Eq. 12 to 14: theta and the reference see the content prompt only."""
        winner, loser = predict_targets(batch)
        text = encodings.text([e.texts.content for e in batch.examples])
        inputs = (batch.noisy_BCHW, batch.t_B, text, batch.size_ids_B6)
        with roles.frozen("reference"):
            reference = backbone.predict(*inputs)
        # Theta last: no adapter is switched between this forward and its backward pass.
        found = cpo_loss(
            backbone.predict(*inputs),
            reference,
            winner,
            loser,
            scale=scale,
            stabilized=objective.kind == "cpo_s",
            margin=objective.margin,
        )
        logged = {
            "win": found.win,
            "lose": found.lose,
            "accuracy": found.correct,
            "rho": found.rho,
            "factor": found.factor,
            "drift": found.drift,
        }
        return Losses(found.loss, logged)

    return Stage(
        compute=compute,
        texts=lambda e: (
            e.texts.content,
            e.texts.positive,
            e.texts.negative,
            e.texts.all,
            e.texts.null,
        ),
        # Without negatives winner and loser target are the same under equal guidance.
        is_usable=lambda e: e.num_negative > 0,
    )


def mean_of(logged: dict[str, Tensor]) -> dict[str, float]:
    """The means over a batch, for the log."""
    if not logged:
        return {}
    values = torch.stack([value.mean() for value in logged.values()]).tolist()
    return dict(zip(logged, values, strict=True))
