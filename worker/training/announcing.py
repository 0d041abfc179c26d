"""What is said of a run before its first step."""

import logging

import torch

from method.training.config import Config, Lora
from worker.training.inputs import Inputs
from worker.training.learning_rates import learning_rate
from worker.training.plan import Plan

log = logging.getLogger(__name__)


def announce(
    config: Config, device: torch.device, plan: Plan, inputs: Inputs, num_weights: int
) -> tuple[str, ...]:
    """Log what is going to happen. Returns what differs from what one might expect, a sentence each."""
    log.info(
        "%s on %s: %d items, %d steps of %d, learning rate %g, %d weights, %s.",
        config.objective.kind,
        device.type,
        len(inputs.items),
        plan.total_steps,
        config.images_per_step,
        config.effective_learning_rate,
        num_weights,
        config.precision,
    )
    if config.objective.facts.pulls_by_beta:
        log.info("beta %g: %g on mean errors.", config.objective.beta, config.objective.beta / 2)
    notes = (*inputs.notes, *_about_options(config, plan))
    for note in notes:
        log.warning("%s", note)
    return notes


def _about_options(config: Config, plan: Plan) -> list[str]:
    wanted, total = config.optimization, plan.total_steps
    notes = []
    if wanted.warmup_steps >= total:
        peak = config.effective_learning_rate
        reached = max(learning_rate(wanted, peak, step, total) for step in (1, total))
        notes.append(
            f"The warm-up of {wanted.warmup_steps} steps is not over when the run is, after {total}: the "
            f"learning rate comes to {reached:.3g} and not to the {peak:.3g} that is asked for. Lower "
            "optimization.warmup_steps, or train longer."
        )
    elif 2 * wanted.warmup_steps > total:
        notes.append(
            f"More than half of the run is warm-up: {wanted.warmup_steps} of {total} steps."
        )
    if wanted.max_steps is not None and wanted.epochs != 1:
        notes.append(
            f"optimization.max_steps decides how long the run is: {wanted.max_steps} steps, and not "
            f"{wanted.epochs} epochs."
        )
    if config.theta.mode == "full" and config.lora != Lora():
        notes.append("theta.mode is full: the options of lora are not read.")
    if not config.objective.facts.makes_expert and config.theta.init != config.objective.reference:
        notes.append("Theta does not start as the reference, so the first loss is not log 2.")
    if config.data.split == "all":
        notes.append("The images learned from include the test images.")
    every = config.validation.every
    if every > total:
        notes.append(
            f"Validation is asked for every {every} steps and the run has {total}: there is one, at "
            "the end."
        )
    return notes
