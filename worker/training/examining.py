"""Examines an expert on held-out images before stage 2 learns from it.

Of each image of the validation split that has a negative attribute (what stage 2 learns from) a few timesteps
and noises are drawn, seeded by the image alone, and predicted under the five conditions of
`method.training.examination`. Nothing here touches what is trained or its random numbers.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from method.run_folder import EXAMINATION
from method.training.config import Config
from method.training.examination import (
    CONDITIONS,
    Examination,
    gain_of,
    read_examination,
    table,
    verdict,
)
from worker.training.backbones import Text
from worker.training.batches import Drawing, Noised
from worker.training.encodings import Encodings, Stored
from worker.training.examples import Example, read_dataset
from worker.training.files import replace_file
from worker.training.inputs import shapes_of
from worker.training.plan import Shape
from worker.training.preparing import check_memory, encode
from worker.training.roles import Inputs, Role, Roles
from worker.training.stopping import Between, go_on

log = logging.getLogger(__name__)

DRAWS = 4
"""Timesteps and noises for an image. More narrow the interval less than more images do."""
FIRST_EPOCH = -2
"""Draws are those of epochs -2, -3 and so on, which neither training nor validation has."""
CPU_ROWS = 16
SEED = 0
"""Not the run's: examinations of different runs then compare."""


class Examiner:
    """Held-out images, encoded for all conditions; one role predicts them."""

    def __init__(self, config: Config, encodings: Encodings, roles: Roles) -> None:
        """Choose the images. There are none where the run learns from all splits, or does not want it."""
        self.config, self.encodings, self.roles = config, encodings, roles
        self.items, self.dataset_sha256 = _held_out(config)
        self.shapes = shapes_of(config, self.items, self, encodings)
        self.drawing = Drawing(encodings.backbone.schedule, SEED)

    def pictures(self, item: Example) -> tuple[Stored, ...]:
        return (item,)

    def texts(self, item: Example) -> tuple[str, ...]:
        """The text of each condition."""
        return tuple(getattr(item.texts, name) for name in CONDITIONS)

    def windows(self, item: Example) -> tuple[int, ...]:
        """As many as the longest condition takes: a text must not gain by having more room."""
        return (self.encodings.windows(self.texts(item)),)

    def prepare(self, before_each: Any = lambda _: None) -> None:
        """Encode pictures and texts, while the encoders are there."""
        needed = list(zip(self.items, self.shapes, strict=True))
        check_memory(self.encodings, self, needed)
        encode(self.encodings, self, needed, before_each)

    @torch.no_grad()
    def examine(
        self, role: Role, expert_sha256: str, between: Between = go_on
    ) -> Examination | None:
        """Have a role predict all images; None where there are less than two.

        Of several processes each does all of it: no pass of one depends on another's. `between` is called
        before each pass, and may raise.
        """
        if len(self.items) < 2:
            return None
        errors = torch.cat([self._errors(role, chunk, between) for chunk in self._chunks()])
        by_name = dict(zip(CONDITIONS, errors.unbind(1), strict=True))
        gain, half_width = gain_of((by_name["content"] - by_name["all"]).tolist())
        return Examination(
            images=len(self.items),
            draws=DRAWS,
            errors={name: float(each.mean()) for name, each in by_name.items()},
            gain=gain,
            half_width=half_width,
            dataset_sha256=self.dataset_sha256,
            expert_sha256=expert_sha256,
            resolution=self.config.data.resolution,
        )

    def _chunks(self) -> list[tuple[Example, ...]]:
        """Images of one shape together, as many as a pass of training takes."""
        most, by_shape = self.config.optimization.batch_size, dict[Shape, list[Example]]()
        for item, shape in zip(self.items, self.shapes, strict=True):
            by_shape.setdefault(shape, []).append(item)
        return [
            tuple(same[start : start + most])
            for same in by_shape.values()
            for start in range(0, len(same), most)
        ]

    def _errors(self, role: Role, items: Sequence[Example], between: Between) -> Tensor:
        """The mean squared error of each image under each condition, over all draws: (B, 5), float64."""
        *size, windows = self.shapes[self.items.index(items[0])]
        ids, names = [item.image_id for item in items], tuple(CONDITIONS)
        total_BC = torch.zeros(len(items), len(names), dtype=torch.float64)
        for draw in range(DRAWS):
            view = self.drawing.noise(self.encodings, items, ids, size, FIRST_EPOCH - draw)
            for start in range(0, len(names), self._together(len(items))):
                between()
                asked = names[start : start + self._together(len(items))]
                prompts = [getattr(item.texts, name) for name in asked for item in items]
                predicted = self._predict(role, view, self.encodings.text(prompts, windows), items)
                off_CBD = (predicted.double() - view.target_BCHW.repeat(len(asked), 1, 1, 1)).view(
                    len(asked), len(items), -1
                )
                total_BC[:, start : start + len(asked)] += (off_CBD**2).mean(2).T
        return total_BC / DRAWS

    def _together(self, rows: int) -> int:
        """How many conditions are asked in one pass: no more rows than training has, but for a CPU, where few
        rows are no faster.
        """
        is_cpu = self.roles.backbone.device.type == "cpu"
        return max(1, CPU_ROWS // rows) if is_cpu else 1

    def _predict(self, role: Role, view: Noised, text: Text, items: Sequence[Example]) -> Tensor:
        """Predict the images under as many conditions as there are texts for; on the CPU."""
        device, times = self.roles.backbone.device, len(text.hidden_BND) // len(items)
        inputs = Inputs(
            noisy_BCHW=view.noisy_BCHW.repeat(times, 1, 1, 1).to(device),
            t_B=view.t_B.repeat(times).to(device),
            text=text.to(device),
            size_ids_B6=view.size_ids_B6.repeat(times, 1).to(device),
        )
        with self.roles.naming(items):
            return self.roles.predict(role, inputs).cpu()


def _held_out(config: Config) -> tuple[tuple[Example, ...], str]:
    """The validation images with a negative attribute, as many as are asked for, and the dataset's hash."""
    wanted, facts = config.validation.expert_images, config.objective.facts
    is_asked = wanted and (facts.makes_expert or facts.needs_expert)
    if not is_asked or config.data.split == "all" or config.dataset_folder is None:
        return (), ""
    # Their own words alone: what stands for missing negatives says nothing of the image.
    words = replace(config.text, empty_neg="skip")
    found = read_dataset(Path(config.dataset_folder), "validation", words, allow_empty=True)
    return tuple(each for each in found.examples if each.num_negative)[:wanted], found.sha256


# What is known already ----------------------------------------------------------------------------


def known_examination(
    folders: Sequence[Path], dataset_sha256: str, expert_sha256: str, resolution: int
) -> Examination | None:
    """The examination of these weights on this dataset that a run folder holds, if one does."""
    for folder in folders:
        found = _read(folder / EXAMINATION)
        if found is not None and (
            found.dataset_sha256,
            found.expert_sha256,
            found.resolution,
        ) == (dataset_sha256, expert_sha256, resolution):
            return found
    return None


def _read(path: Path) -> Examination | None:
    try:
        return read_examination(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def keep_examination(folder: Path, found: Examination) -> None:
    """Write it into a run folder. Raises Ended where that cannot be written."""
    replace_file(folder / EXAMINATION, json.dumps(found.as_dict(), indent=2) + "\n")


def tell(found: Examination | None) -> tuple[str, ...]:
    """Log what was found. Returns what differs from what one might expect, a sentence each."""
    if found is None:
        log.info("There are no held-out images with a negative attribute to examine the expert on.")
        return ()
    errors = ", ".join(f"{error:.4g} from {words}" for words, error in table(found))
    log.info("Mean squared errors on held-out images: %s.", errors)
    if found.has_gain:
        log.info("%s", verdict(found))
        return ()
    log.warning("%s", verdict(found))
    return (verdict(found),)
