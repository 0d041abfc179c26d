"""Step-aware preference optimisation: theta's own denoising steps are judged and learned from."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from method.agents import JUDGE
from method.dataset_folder import read_criteria, read_facts
from method.training.failures import InvalidConfig, PictureNotFinite
from worker.agents.agent import Account, NoMemory, Reader, open_agent
from worker.training.backbones import Text
from worker.training.backbones.autoencoder import to_picture
from worker.training.batches import Batch, Noised
from worker.training.denoising import Step, estimate_x0, plan_steps, transition
from worker.training.encodings import Stored
from worker.training.examples import Example
from worker.training.losses import gaussian_log_prob, guided, spo_loss
from worker.training.noise import Diffusion, generator_for
from worker.training.objectives import Losses, Parts, content_of, weights_of
from worker.training.plan import Pass, Shape
from worker.training.roles import Inputs, Role

log = logging.getLogger(__name__)

Score = tuple[int, int]
"""Negative attributes, and positive ones with a minus sign: less is better."""


@dataclass(frozen=True, slots=True)
class Duel:
    """Two samples of one denoising step of an item, of which the first is preferred."""

    row: int
    """The item's place in the batch."""
    step: Step
    noisy_CHW: Tensor
    winner_CHW: Tensor
    loser_CHW: Tensor


class Spo:
    """SPO (arXiv 2406.04314) on the content prompts of a dataset. Implements Objective.

    Theta denoises under guidance with as much noise as DDPM. From `spo.first` on each step draws several
    candidates from the same latent; best and worst are a pair where their gap is large enough; the
    trajectory goes on from one of the candidates, chosen at random. The last step draws hardly any noise and
    is left out. Of a trajectory's pairs some are drawn and learned from.

    Where this departs from the paper: its judge is a preference model for noisy latents, a released
    checkpoint. Ours is an agent on the picture that theta sees in a candidate in one step: fewer
    negative attributes win, then more positive ones, among those of the dataset's criteria.

    The dataset's pictures only give shapes. Everything is drawn by (run seed, epoch, image id), so with the
    same weights an image gets the same trajectory. Items without a pair have loss 0 and no gradient; in the
    curves they count as undecided (factor and accuracy 1/2). Memory: one pass of theta with gradients, of
    2 * batch_size * train_steps latents (guidance 1: half of that).
    """

    def __init__(self, parts: Parts) -> None:
        """Plan the steps. Raises InvalidConfig for flow matching."""
        self.parts, self.options = parts, parts.config.spo
        self.schedule = _diffusion_of(parts)
        self.steps = _plan_steps(parts, self.schedule)
        self.judge = parts.backbone.judge or _judged_by(Path(str(parts.config.dataset_folder)))

    def item_id(self, item: Example) -> str:
        return item.image_id

    def is_usable(self, item: Example) -> bool:
        """Every image: its labels are not used."""
        del item
        return True

    def pictures(self, item: Example) -> tuple[Stored, ...]:
        """The image, for its shape."""
        return (item,)

    def texts(self, item: Example) -> tuple[str, ...]:
        return (item.texts.content,)

    def windows(self, item: Example) -> tuple[int, ...]:
        """As many as the content prompt takes."""
        return (self.parts.encodings.windows([item.texts.content]),)

    def load(self, items: Sequence[Example], this_pass: Pass, shape: Shape, epoch: int) -> Batch:
        """Draw what the trajectories start from, and put the prompts after as many empty ones."""
        parts, count, (width, height, windows) = self.parts, len(items), shape
        latent_CHW, _ = parts.encodings.latent(items[0], (width, height))
        draws = [self._generator(epoch, item, "spo start") for item in items]
        start_BCHW = torch.stack([torch.randn(latent_CHW.shape, generator=each) for each in draws])
        # What diffusers' pipelines tell SDXL when they make a picture of this size.
        size_ids_6 = torch.tensor([height, width, 0, 0, height, width], dtype=torch.float32)
        view = Noised(
            noisy_BCHW=start_BCHW,
            target_BCHW=start_BCHW,  # not used: what to come nearer to is found on the way
            t_B=torch.full((count,), float(self.steps[0].t)),
            omega_B=torch.ones(count),
            size_ids_B6=size_ids_6.repeat(count, 1),
        )
        contents = [content_of(parts, item.image_id, item.texts.content, epoch) for item in items]
        text = parts.encodings.text([*[""] * count, *contents], windows)
        return Batch(
            epoch=epoch,
            items=tuple(items),
            weight_B=weights_of(this_pass),
            views=(view,),
            texts={"empty, content": text},
        )

    def compute(self, batch: Batch) -> Losses:
        """Denoise and judge, then the loss of the pairs that are learned from."""
        with torch.no_grad():
            duels = self._walk(batch)
        share_B = batch.weight_B.new_tensor([len(each) / self._num_judged for each in duels])
        chosen = [duel for each in duels for duel in each[: self.options.train_steps]]
        return self._learn(batch, chosen or [self._stand_in(batch)], share_B)

    # Denoising and judging ------------------------------------------------------------------------

    def _walk(self, batch: Batch) -> list[list[Duel]]:
        """Denoise all items; each one's pairs, in random order."""
        rows = range(len(batch.items))
        generators = [self._generator(batch.epoch, item, "spo walk") for item in batch.items]
        duels: list[list[Duel]] = [[] for _ in rows]
        (view,) = batch.views
        noisy_BCHW = view.noisy_BCHW
        predicted_BCHW = self._predict("theta", batch, rows, noisy_BCHW, view.t_B)
        for number, (step, after) in enumerate(pairwise(self.steps)):
            self.parts.between()
            count = self.options.candidates if number >= self.options.first else 1
            move = transition(self.schedule, noisy_BCHW, predicted_BCHW, step, eta=1)
            # All candidates of the first item, then of the second, and so on.
            noise_NCHW = torch.cat(
                [torch.randn(count, *noisy_BCHW.shape[1:], generator=each) for each in generators]
            ).to(noisy_BCHW.device)
            drawn_NCHW = move.mean_BCHW.repeat_interleave(count, 0) + move.std * noise_NCHW
            owners = [row for row in rows for _ in range(count)]
            t_N = view.t_B.new_full((len(owners),), after.t)
            predicted_NCHW = self._predict("theta", batch, owners, drawn_NCHW, t_N)
            if number >= self.options.first:
                pictures_NCHW = estimate_x0(self.schedule, drawn_NCHW, predicted_NCHW, after)
                scores = [self._score(each) for each in pictures_NCHW]
                for row in rows:
                    mine = slice(row * count, (row + 1) * count)
                    duels[row] += self._judge(
                        row, step, noisy_BCHW[row], drawn_NCHW[mine], scores[mine]
                    )
            # The prediction for the candidate that is gone on from serves the next step, too.
            places = [
                row * count + int(torch.randint(count, (), generator=each))
                for row, each in enumerate(generators)
            ]
            noisy_BCHW, predicted_BCHW = drawn_NCHW[places], predicted_NCHW[places]
        return [_shuffled(each, generators[row]) for row, each in enumerate(duels)]

    def _score(self, latent_CHW: Tensor) -> Score | None:
        """What the judge counts in a candidate; None where it is no picture."""
        try:
            picture = to_picture(self.parts.backbone.decode_image(latent_CHW))
        except PictureNotFinite:
            return None
        found = [each.polarity for each in self.judge.label(picture, Account(), NoMemory())]
        return found.count("negative"), -found.count("positive")

    def _judge(
        self,
        row: int,
        step: Step,
        noisy_CHW: Tensor,
        drawn_KCHW: Tensor,
        scores: Sequence[Score | None],
    ) -> list[Duel]:
        """The pair of best and worst candidate, where there is a difference to learn from."""
        judged = [each for each in scores if each is not None]
        if not judged:
            return []
        best, worst = min(judged), max(judged)
        if best == worst or worst[0] - best[0] < self.options.least_gap:
            return []
        winner, loser = drawn_KCHW[scores.index(best)], drawn_KCHW[scores.index(worst)]
        return [Duel(row, step, noisy_CHW, winner, loser)]

    @property
    def _num_judged(self) -> int:
        return len(self.steps) - 1 - self.options.first

    def _generator(self, epoch: int, item: Example, purpose: str) -> torch.Generator:
        return generator_for(self.parts.config.seed, epoch, item.image_id, purpose)

    # Learning -------------------------------------------------------------------------------------

    def _learn(self, batch: Batch, duels: Sequence[Duel], share_B: Tensor) -> Losses:
        """One pass over all pairs: a pair's two samples come from one latent, so from one prediction."""
        rows = [duel.row for duel in duels]
        noisy_NCHW = torch.stack([duel.noisy_CHW for duel in duels])
        t_N = share_B.new_tensor([duel.step.t for duel in duels])
        with torch.no_grad():
            reference = self._predict("reference", batch, rows, noisy_NCHW, t_N)
        # Theta last: no adapter is switched between this forward and its backward pass.
        theta = self._predict("theta", batch, rows, noisy_NCHW, t_N)
        found = spo_loss(
            *self._log_probs(duels, theta),
            *self._log_probs(duels, reference),
            beta=self.options.beta,
            eps=self.options.clip,
        )
        place_N = torch.tensor(rows, device=share_B.device)
        is_pair_N = share_B.new_tensor([duel.winner_CHW is not duel.loser_CHW for duel in duels])
        num_B = torch.zeros_like(share_B).index_add(0, place_N, is_pair_N)

        def per_item(values_N: Tensor, without: float = 0.0) -> Tensor:
            sums_B = torch.zeros_like(share_B).index_add(0, place_N, values_N * is_pair_N)
            return sums_B / num_B.clamp_min(1) + without * (num_B == 0)

        logged = {
            "win": per_item(found.win),
            "lose": per_item(found.lose),
            "accuracy": per_item(found.correct, without=0.5),
            "factor": per_item(found.factor, without=0.5),
            "clipped": per_item(found.clipped),
            "pairs": share_B,
        }
        return Losses(per_item(found.loss), logged)

    def _stand_in(self, batch: Batch) -> Duel:
        """Of a pass without a pair: a sample beside itself. It has no gradient and does not count, but gives
        the backward pass its graph, and each of several processes the same work.
        """
        start_CHW = batch.views[0].noisy_BCHW[0]
        return Duel(0, self.steps[0], start_CHW, start_CHW, start_CHW)

    def _log_probs(self, duels: Sequence[Duel], predicted_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """How likely winners and losers are by these predictions, (N,) each."""
        moves = [
            transition(self.schedule, duel.noisy_CHW, predicted, duel.step, eta=1)
            for duel, predicted in zip(duels, predicted_NCHW, strict=True)
        ]
        mean_NCHW = torch.stack([move.mean_BCHW for move in moves])
        std_N = mean_NCHW.new_tensor([move.std for move in moves])
        winner_NCHW = torch.stack([duel.winner_CHW for duel in duels])
        loser_NCHW = torch.stack([duel.loser_CHW for duel in duels])
        return (
            gaussian_log_prob(winner_NCHW, mean_NCHW, std_N),
            gaussian_log_prob(loser_NCHW, mean_NCHW, std_N),
        )

    def _predict(
        self, role: Role, batch: Batch, rows: Sequence[int], noisy_NCHW: Tensor, t_N: Tensor
    ) -> Tensor:
        """Guided predictions; latent i belongs to the item in place rows[i] of the batch."""
        guidance, num_items = self.options.guidance, len(batch.items)
        contents = [num_items + row for row in rows]
        places = contents if guidance == 1 else [*rows, *contents]
        times = len(places) // len(rows)
        text, size_ids_B6 = batch.texts["empty, content"], batch.views[0].size_ids_B6
        inputs = Inputs(
            noisy_BCHW=noisy_NCHW.repeat(times, 1, 1, 1),
            t_B=t_N.repeat(times),
            text=Text(text.hidden_BND[places], text.pooled_BD[places]),
            size_ids_B6=size_ids_B6[list(rows)].repeat(times, 1),
        )
        sides = self.parts.roles.predict(role, inputs).chunk(times)
        return guided(sides[0], sides[-1], guidance)


make = Spo


def _diffusion_of(parts: Parts) -> Diffusion:
    schedule = parts.backbone.schedule
    if not isinstance(schedule, Diffusion):
        raise InvalidConfig(
            "objective.kind: spo learns from the noise that a sampler adds at each step, and models "
            "trained by flow matching (FLUX) are sampled without any; choose dpo or cpo_s"
        )
    return schedule


def _plan_steps(parts: Parts, schedule: Diffusion) -> tuple[Step, ...]:
    """The steps of a trajectory, at the timesteps of the model's own scheduler."""
    spacing, offset = parts.backbone.spacing
    try:
        return plan_steps(
            schedule, parts.config.spo.steps, spacing=spacing, offset=offset, ends_clean=True
        )
    except ValueError as error:
        raise InvalidConfig(f"spo.steps: {error}") from error


def _judged_by(dataset: Path) -> Reader:
    """The agent that judges candidates, by what it decides of the dataset's criteria."""
    agent = open_agent(JUDGE)
    reader = agent.under(read_criteria(read_facts(dataset)))
    if any(side.polarity == "negative" for side in reader.decides):
        return reader
    knows = agent.under(None)
    log.warning(
        "The %s agent decides no negative attribute of this dataset's criteria; candidates are "
        "judged by all %d attribute pairs that it knows.",
        JUDGE,
        len({side.key for side in knows.decides}),
    )
    return knows


def _shuffled(duels: Sequence[Duel], generator: torch.Generator) -> list[Duel]:
    order = torch.randperm(len(duels), generator=generator).tolist()
    return [duels[place] for place in order]
