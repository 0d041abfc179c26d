"""Stage 1: supervised fine-tuning, which makes the expert."""

from collections.abc import Sequence

from worker.training.batches import Batch
from worker.training.encodings import Stored
from worker.training.examples import Example
from worker.training.losses import sft_loss
from worker.training.noise import draw_share
from worker.training.objectives import Losses, Parts, inputs_of, weights_of
from worker.training.plan import Pass, Shape


class Sft:
    """Eq. 3: theta learns to predict the noise from y, A_pos and A_neg. Implements Objective."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def item_id(self, item: Example) -> str:
        return item.image_id

    def is_usable(self, item: Example) -> bool:
        del item
        return True

    def pictures(self, item: Example) -> tuple[Stored, ...]:
        return (item,)

    def texts(self, item: Example) -> tuple[str, ...]:
        """The three texts that a draw may choose."""
        return (item.texts.all, item.texts.negative, item.texts.null)

    def windows(self, item: Example) -> tuple[int, ...]:
        """As many as the longest text takes, whichever a draw chooses."""
        return (self.parts.encodings.windows(self.texts(item)),)

    def load(self, items: Sequence[Example], this_pass: Pass, shape: Shape, epoch: int) -> Batch:
        """Noise the images and choose each one's text."""
        parts, (*size, windows) = self.parts, shape
        ids = [item.image_id for item in items]
        chosen = [self._choose(item, epoch) for item in items]
        return Batch(
            epoch=epoch,
            items=tuple(items),
            weight_B=weights_of(this_pass),
            views=(parts.drawing.noise(parts.encodings, items, ids, size, epoch),),
            texts={"chosen": parts.encodings.text(chosen, windows)},
        )

    def compute(self, batch: Batch) -> Losses:
        """The mean squared error of theta's prediction."""
        parts, (view,) = self.parts, batch.views
        predicted = parts.roles.predict("theta", inputs_of(view, batch.texts["chosen"]))
        return Losses(sft_loss(predicted, view.target_BCHW, view.omega_B), {})

    def _choose(self, item: Example, epoch: int) -> str:
        objective = self.parts.config.objective
        share = draw_share(self.parts.config.seed, epoch, item.image_id, "condition")
        if share < objective.drop_all:
            return item.texts.null
        if share < objective.drop_all + objective.drop_to_neg and item.num_negative:
            return item.texts.negative
        return item.texts.all


make = Sft
