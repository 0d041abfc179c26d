"""Stage 2: complex preference optimisation, plain and stabilised."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from worker.training.backbones import Text
from worker.training.batches import Batch, Noised
from worker.training.encodings import Stored
from worker.training.examples import Example
from worker.training.losses import cpo_loss, guided
from worker.training.objectives import (
    Losses,
    Parts,
    content_of,
    inputs_of,
    losses_of,
    scale_of,
    weights_of,
)
from worker.training.plan import Pass
from worker.training.roles import Inputs
from worker.training.teacher import stack

CONDITIONS = ("positive", "negative", "all", "null")


class Cpo:
    """Eq. 10 to 14: the expert shows winner and loser, theta sees y alone. Implements Objective."""

    def __init__(self, parts: Parts) -> None:
        """Take note of the parts."""
        self.parts = parts
        self.conditions = CONDITIONS if parts.teacher else self._needed()

    def item_id(self, item: Example) -> str:
        """The image's id."""
        return item.image_id

    def is_usable(self, item: Example) -> bool:
        """Without negatives winner and loser target are the same under equal guidance."""
        return item.num_negative > 0 or self.parts.config.text.empty_neg != "skip"

    def pictures(self, item: Example) -> tuple[Stored, ...]:
        """The image."""
        return (item,)

    def texts(self, item: Example) -> tuple[str, ...]:
        """The content prompt and the expert's four conditions."""
        texts = item.texts
        return (texts.content, texts.positive, texts.negative, texts.all, texts.null)

    def load(
        self, items: Sequence[Example], dealt: Pass, size: tuple[int, int], epoch: int
    ) -> Batch:
        """Noise the images, put their texts together, look up what is known of them."""
        parts, ids = self.parts, [item.image_id for item in items]
        encodings = parts.encodings
        contents = [content_of(parts, item.image_id, item.texts.content, epoch) for item in items]
        view = parts.drawing.noise(encodings, items, ids, size, epoch)
        batch = Batch(
            epoch=epoch,
            items=tuple(items),
            weight_B=weights_of(dealt),
            views=(view,),
            texts={"content": encodings.text(contents)},
        )
        if parts.teacher is None:
            batch.texts["taught"] = self._taught_text(items)
            return batch
        entries = tuple(
            parts.teacher.look_up(
                {
                    "image": item.sha256,
                    "size": size,
                    "id": item.image_id,
                    "epoch": epoch,
                    "t": float(view.t_B[row]),
                    "content": contents[row],
                    # Filled up to the longest of the batch, with windows that are seen, too.
                    "content tokens": batch.texts["content"].hidden_BND.shape[1],
                    "texts": [getattr(item.texts, name) for name in CONDITIONS],
                }
            )
            for row, item in enumerate(items)
        )
        for row, entry in enumerate(entries):
            if entry.predictions is None:
                batch.texts[f"taught {row}"] = self._taught_text([items[row]])
        return Batch(
            batch.epoch, batch.items, batch.weight_B, batch.views, batch.texts, taught=entries
        )

    def compute(self, batch: Batch) -> Losses:
        """The loss of theta, given what expert and reference predict."""
        parts, (view,) = self.parts, batch.views
        objective = parts.config.objective
        taught = self._taught(batch)
        # Theta last: no adapter is switched between this forward and its backward pass.
        prediction = parts.roles.predict("theta", inputs_of(view, batch.texts["content"]))
        found = cpo_loss(
            prediction,
            taught["reference"],
            # A guidance of 1 does not use its other end.
            guided(
                taught.get("negative", taught["positive"]), taught["positive"], objective.omega_w
            ),
            guided(taught.get("null", taught["all"]), taught["all"], objective.omega_l),
            scale=scale_of(parts, view),
            stabilized=objective.kind == "cpo_s",
            margin=objective.margin,
            norm_eps=objective.norm_eps,
        )
        return losses_of(found)

    def _needed(self) -> tuple[str, ...]:
        """The conditions that the guidance uses: a quarter of the expert's work each."""
        objective = self.parts.config.objective
        unused = {"negative"} if objective.omega_w == 1 else set()
        unused |= {"null"} if objective.omega_l == 1 else set()
        return tuple(name for name in CONDITIONS if name not in unused)

    def _taught_text(self, items: Sequence[Example]) -> Text:
        """The expert's conditions of some images, condition by condition."""
        prompts = [getattr(item.texts, name) for name in self.conditions for item in items]
        return self.parts.encodings.text(prompts)

    def _taught(self, batch: Batch) -> dict[str, Tensor]:
        """What the reference, and the expert under each condition, predict: (B, C, H, W) each."""
        (view,) = batch.views
        if self.parts.teacher is None:
            return self._predict(view, batch.texts["taught"], batch.texts["content"])
        found: list[Mapping[str, Tensor]] = []
        for row, entry in enumerate(batch.taught):
            predictions = entry.predictions
            if predictions is None:
                # One image at a time: a batch would make the last bits depend on which of its images
                # were known already, and with them a resumed run's.
                one = view.row(row)
                texts = batch.texts[f"taught {row}"], batch.texts["content"].row(row)
                made = self._predict(one, *texts)
                predictions = self.parts.teacher.keep(
                    entry, {name: tensor[0] for name, tensor in made.items()}
                )
            found.append(predictions)
        return stack(found, view.noisy_BCHW.device)

    def _predict(self, view: Noised, taught: Text, content: Text) -> dict[str, Tensor]:
        """Ask the expert, all conditions in one batch, and the reference."""
        roles, times = self.parts.roles, len(self.conditions)
        with torch.no_grad():
            together = Inputs(
                noisy_BCHW=view.noisy_BCHW.repeat(times, 1, 1, 1),
                t_B=view.t_B.repeat(times),
                text=taught,
                size_ids_B6=view.size_ids_B6.repeat(times, 1),
            )
            predicted = roles.predict("expert", together).chunk(times)
            reference = roles.predict("reference", inputs_of(view, content))
        return {"reference": reference, **dict(zip(self.conditions, predicted, strict=True))}
