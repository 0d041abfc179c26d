"""Stage 2, whatever the loss: the expert shows winner and loser, and theta sees y alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from worker.training.backbones import Text
from worker.training.batches import Batch, Noised
from worker.training.encodings import Stored
from worker.training.examples import Example
from worker.training.geometry import excess_drift, gap_and_lead
from worker.training.losses import PreferenceLoss, guided
from worker.training.objectives import (
    Losses,
    Parts,
    content_of,
    inputs_of,
    losses_of,
    scale_of,
    weights_of,
)
from worker.training.plan import Pass, Shape
from worker.training.roles import Inputs
from worker.training.teacher import Entry, stack

CONDITIONS = ("positive", "negative", "all", "null")
CPU_ROWS = 16
"""Below that most of a pass on the tiny models is Python's."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a loss is made of: predictions of a pass, (B, C, H, W) each, and how much each image weighs."""

    prediction: Tensor
    """Theta's."""
    reference: Tensor
    winner: Tensor
    loser: Tensor
    omega_B: Tensor
    """omega(lambda_t)."""
    scale_B: Tensor
    """beta * T * omega(lambda_t)."""
    weight_B: Tensor
    """0 for an image that only fills up a pass, else 1."""


class Taught:
    """An objective that an expert teaches: `lose` is its loss. Implements Objective.

    `conditions` are the names of the texts that the expert is asked with. Those that the loss makes no use of
    are left out where nothing is kept for other runs.
    """

    def __init__(
        self,
        parts: Parts,
        lose: Callable[[Told], PreferenceLoss],
        conditions: tuple[str, ...] = CONDITIONS,
    ) -> None:
        self.parts, self.lose, self.known = parts, lose, conditions
        self.conditions = conditions if parts.teacher else self._needed()

    def item_id(self, item: Example) -> str:
        return item.image_id

    def is_usable(self, item: Example) -> bool:
        """Without negatives winner and loser target are the same under equal guidance."""
        return item.num_negative > 0 or self.parts.config.text.empty_neg != "skip"

    def pictures(self, item: Example) -> tuple[Stored, ...]:
        return (item,)

    def texts(self, item: Example) -> tuple[str, ...]:
        """The content prompt and the expert's conditions."""
        return (item.texts.content, *(getattr(item.texts, name) for name in self.known))

    def windows(self, item: Example) -> tuple[int, ...]:
        """As many as the content prompt takes, and as the longest condition of the expert takes."""
        encodings, (content, *conditions) = self.parts.encodings, self.texts(item)
        return encodings.windows([content]), encodings.windows(conditions)

    def load(self, items: Sequence[Example], this_pass: Pass, shape: Shape, epoch: int) -> Batch:
        """Noise the images, put their texts together, look up what is known of them."""
        parts, ids = self.parts, [item.image_id for item in items]
        *size, content_windows, expert_windows = shape
        contents = [content_of(parts, item.image_id, item.texts.content, epoch) for item in items]
        view = parts.drawing.noise(parts.encodings, items, ids, size, epoch)
        entries = self._look_up(items, contents, view, shape, epoch) if parts.teacher else ()
        texts = {"content": parts.encodings.text(contents, content_windows)}
        predictions = None
        if not entries or any(entry.predictions is None for entry in entries):
            # Condition by condition, as the expert is asked.
            prompts = [getattr(item.texts, name) for name in self.conditions for item in items]
            expert_text = parts.encodings.text(prompts, expert_windows)
            if parts.asks_ahead:
                predictions = self._ask_expert(view, expert_text)
            else:
                texts["expert"] = expert_text
        return Batch(
            epoch=epoch,
            items=tuple(items),
            weight_B=weights_of(this_pass),
            views=(view,),
            texts=texts,
            cached=entries,
            predictions=predictions,
        )

    def _look_up(
        self,
        items: Sequence[Example],
        contents: Sequence[str],
        view: Noised,
        shape: Shape,
        epoch: int,
    ) -> tuple[Entry, ...]:
        """What the teacher cache has for each image."""
        teacher, encodings = self.parts.teacher, self.parts.encodings
        assert teacher is not None
        return tuple(
            teacher.look_up(
                {
                    "image": item.sha256,
                    "shape": shape,
                    "id": item.image_id,
                    "epoch": epoch,
                    "t": float(view.t_B[row]),
                    # As tokens, because another tokenizer makes other texts of the same words.
                    "content": encodings.split(contents[row]),
                    "texts": {
                        name: encodings.split(getattr(item.texts, name)) for name in self.known
                    },
                }
            )
            for row, item in enumerate(items)
        )

    def compute(self, batch: Batch) -> Losses:
        """The loss of theta, given what expert and reference predict."""
        parts, (view,) = self.parts, batch.views
        predicted = self._asked_or_cached(batch)
        # Theta last: no adapter is switched between this forward and its backward pass.
        prediction = parts.roles.predict("theta", inputs_of(view, batch.texts["content"]))
        reference = predicted["reference"]
        winner, loser = self._targets(predicted)
        scale_B = scale_of(parts, view)
        told = Told(prediction, reference, winner, loser, view.omega_B, scale_B, batch.weight_B)
        losses = losses_of(self.lose(told))
        gap_B, lead_B = gap_and_lead(reference, winner, loser)
        loss_B, cap = losses.loss_B, parts.config.objective.drift_cap
        if cap is not None:
            loss_B = loss_B + scale_B * excess_drift(prediction, reference, gap_B, cap)
        return Losses(loss_B, losses.logged | {"gap": gap_B, "lead": lead_B})

    def _targets(self, predicted: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Winner and loser: as Eq. 10 and 11 guide them, or the two conditions themselves."""
        objective = self.parts.config.objective
        if not objective.facts.is_guided:
            winner, loser = (predicted[name] for name in self.known)
            return winner, loser
        # A guidance of 1 does not use its other end.
        negative = predicted.get("negative", predicted["positive"])
        null = predicted.get("null", predicted["all"])
        return (
            guided(negative, predicted["positive"], objective.omega_w),
            guided(null, predicted["all"], objective.omega_l),
        )

    def _needed(self) -> tuple[str, ...]:
        """The conditions that the guidance uses: a quarter of the expert's work each."""
        objective = self.parts.config.objective
        unused = {"negative"} if objective.omega_w == 1 else set()
        unused |= {"null"} if objective.omega_l == 1 else set()
        return tuple(name for name in self.known if name not in unused)

    def _asked_or_cached(self, batch: Batch) -> dict[str, Tensor]:
        """What the reference, and the expert under each condition, predict: (B, C, H, W) each."""
        (view,) = batch.views
        if not batch.cached:
            return self._predict(batch)
        found = [entry.predictions for entry in batch.cached if entry.predictions is not None]
        if len(found) < len(batch.cached):
            found = self._fill(batch)
        return stack(found, view.noisy_BCHW.device)

    def _fill(self, batch: Batch) -> list[dict[str, Tensor]]:
        """Predict the whole pass and keep what the cache lacks.

        The whole of it even where one entry is missing: the last bits depend on what else is in the
        batch, and a run that was killed while filling has to come to the same ones.
        """
        teacher = self.parts.teacher
        assert teacher is not None
        made = teacher.as_kept(self._predict(batch))
        found = []
        for row, entry in enumerate(batch.cached):
            predictions = entry.predictions
            if predictions is None:
                predictions = {name: tensor[row] for name, tensor in made.items()}
                teacher.keep(entry, predictions)
            found.append(predictions)
        return found

    def _predict(self, batch: Batch) -> dict[str, Tensor]:
        """Ask the reference, and the expert where it was not asked ahead."""
        (view,), texts = batch.views, batch.texts
        expert = batch.predictions or self._ask_expert(view, texts["expert"])
        reference = self.parts.roles.predict("reference", inputs_of(view, texts["content"]))
        return {"reference": reference, **expert}

    def _ask_expert(self, view: Noised, expert_text: Text) -> dict[str, Tensor]:
        """Ask the expert, all conditions in one batch.

        Large batches are split up on a CPU: they are no faster there, and take memory while theta may be
        learning. Always, so that predictions do not depend on whether there was a core for that.
        """
        rows, together = len(view.t_B), len(self.conditions)
        if view.noisy_BCHW.device.type == "cpu":
            together = max(1, CPU_ROWS // rows)
        predicted: list[Tensor] = []
        for text in expert_text.split(together * rows):
            times = len(text.hidden_BND) // rows
            asked = Inputs(
                noisy_BCHW=view.noisy_BCHW.repeat(times, 1, 1, 1),
                t_B=view.t_B.repeat(times),
                text=text,
                size_ids_B6=view.size_ids_B6.repeat(times, 1),
            )
            predicted += self.parts.roles.predict("expert", asked).chunk(times)
        return dict(zip(self.conditions, predicted, strict=True))
