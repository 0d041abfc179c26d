"""Which images each step sees: a function of the seed and the step, so nothing needs saving.

A step is a set of images. How it is cut into passes, and those dealt out to processes, changes neither the
set nor the noise of an image, so gradient accumulation and several processes give what one larger batch
gives, up to the rounding of sums.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from method.training.config import Config
from worker.training.noise import draw_order

Shape = tuple[int, ...]
"""Width and height that pictures are cropped to, and how many windows texts are filled up to.

Windows that fill up are seen by the model. So only items of one shape share a pass: what is predicted for
an item must not depend on the others.
"""


@dataclass(frozen=True, slots=True)
class Pass:
    """Images of one shape that go through the model together, on one process."""

    indices: tuple[int, ...]
    weights: tuple[float, ...]
    """1, or 0 where the pass only keeps this process in step with the others."""


@dataclass(frozen=True)
class Plan:
    shapes: tuple[Shape, ...]
    """The shape of each image: only images of one shape fit into one pass."""
    seed: int
    images_per_step: int
    batch_size: int
    total_steps: int
    rank: int = 0
    processes: int = 1

    @cached_property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one look at all images; the last may be short."""
        return _steps_per_epoch(self.shapes, self.images_per_step)

    def epoch_of(self, step: int) -> int:
        """The epoch (from 0) of a step (from 1)."""
        return (step - 1) // self.steps_per_epoch

    def images(self, step: int) -> tuple[int, ...]:
        """The indices of the images of a step (from 1), over all processes."""
        epoch = self.epoch_of(step)
        steps = self._epochs.get(epoch)
        if steps is None:
            # The epoch under way, and the next ones where images are loaded ahead in another thread.
            for old in [each for each in list(self._epochs) if abs(each - epoch) > 2]:
                self._epochs.pop(old, None)
            steps = _draw_epoch(self.shapes, self.seed, epoch, self.images_per_step)
            self._epochs[epoch] = steps
        return steps[(step - 1) % self.steps_per_epoch]

    @cached_property
    def _epochs(self) -> dict[int, tuple[tuple[int, ...], ...]]:
        return {}

    def passes(self, step: int) -> list[Pass]:
        """The passes of a step on this process: as many as every other process has."""
        chunks = self.chunks(self.images(step))
        return self.deal(chunks)

    def chunks(self, images: Sequence[int]) -> list[tuple[int, ...]]:
        """Images in runs of one shape, of at most the batch size."""
        found = []
        for _, run in groupby(images, key=lambda index: self.shapes[index]):
            of_shape = tuple(run)
            found += [
                of_shape[i : i + self.batch_size] for i in range(0, len(of_shape), self.batch_size)
            ]
        return found

    def deal(self, chunks: Sequence[tuple[int, ...]]) -> list[Pass]:
        """Of the chunks, this process's share, filled up with one that weighs nothing."""
        passes = []
        for start in range(0, len(chunks), self.processes):
            place = start + self.rank
            chunk, weight = (chunks[place], 1.0) if place < len(chunks) else (chunks[start], 0.0)
            passes.append(Pass(chunk, (weight,) * len(chunk)))
        return passes


def make_plan(shapes: Sequence[Shape], config: Config, rank: int = 0, processes: int = 1) -> Plan:
    """Work out how many steps the config asks for."""
    wanted = config.optimization
    per_epoch = _steps_per_epoch(tuple(shapes), config.images_per_step)
    return Plan(
        shapes=tuple(shapes),
        seed=config.seed,
        images_per_step=config.images_per_step,
        batch_size=wanted.batch_size,
        total_steps=wanted.max_steps or wanted.epochs * per_epoch,
        rank=rank,
        processes=processes,
    )


def _steps_per_epoch(shapes: tuple[Shape, ...], per_step: int) -> int:
    counts = Counter(shapes).values()
    full = sum(count // per_step for count in counts)
    return full + math.ceil(sum(count % per_step for count in counts) / per_step)


def _draw_epoch(
    shapes: tuple[Shape, ...], seed: int, epoch: int, per_step: int
) -> tuple[tuple[int, ...], ...]:
    """The images of each step: of one shape where there are enough, the rest together at the end."""
    waiting: dict[Shape, list[int]] = defaultdict(list)
    steps: list[tuple[int, ...]] = []
    for index in draw_order(seed, epoch, len(shapes)):
        queue = waiting[shapes[index]]
        queue.append(index)
        if len(queue) == per_step:
            steps.append(tuple(queue))
            queue.clear()
    rest = [index for shape in sorted(waiting) for index in waiting[shape]]
    steps += [tuple(rest[i : i + per_step]) for i in range(0, len(rest), per_step)]
    return tuple(steps)
