"""Noised images on their way to the device.

Shape letters: B batch, C channels, H and W latent height and width.
"""

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from worker.training.backbones import Text
from worker.training.encodings import Encodings, Stored
from worker.training.noise import Sampling, Schedule, TimeWeight, draw_timestep_and_noise
from worker.training.teacher import Entry


@dataclass(frozen=True, slots=True)
class Noised:
    """Noised latents and what should be predicted of them."""

    noisy_BCHW: Tensor
    target_BCHW: Tensor
    t_B: Tensor
    omega_B: Tensor
    """omega(lambda_t), the weight of the timestep."""
    size_ids_B6: Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that a pass needs."""

    epoch: int
    items: tuple[Any, ...]
    weight_B: Tensor
    """1, or 0 where an item only fills a process's share."""
    views: tuple[Noised, ...]
    """The images; winners and losers for pairs."""
    texts: dict[str, Text]
    """By name of the condition."""
    cached: tuple[Entry, ...] = ()
    """What the teacher cache has for each item."""
    predictions: dict[str, Tensor] | None = None
    """What roles predict that were asked ahead, (B, C, H, W) each."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """How timesteps and noise are drawn, and how much a timestep weighs."""

    schedule: Schedule
    seed: int
    sampling: Sampling = "uniform"
    offset: float = 0.0
    time_weight: TimeWeight = "const"
    snr_gamma: float = 5.0

    def noise(
        self,
        encodings: Encodings,
        pictures: Sequence[Stored],
        ids: Sequence[str],
        size: Sequence[int],
        epoch: int,
    ) -> Noised:
        """Noise pictures cropped to `size`, each with the draw that belongs to its id in this epoch."""
        latents, size_ids = zip(
            *(encodings.latent(each, (size[0], size[1])) for each in pictures), strict=True
        )
        drawn = [
            draw_timestep_and_noise(
                self.seed,
                epoch,
                item_id,
                shape=tuple(latents[0].shape),
                schedule=self.schedule,
                sampling=self.sampling,
                offset=self.offset,
            )
            for item_id in ids
        ]
        t_B = torch.tensor([t for t, _ in drawn])
        x0_BCHW = torch.stack(latents)
        noise_BCHW = torch.stack([noise for _, noise in drawn])
        return Noised(
            noisy_BCHW=self.schedule.noisy(x0_BCHW, noise_BCHW, t_B),
            target_BCHW=self.schedule.target(x0_BCHW, noise_BCHW, t_B),
            t_B=t_B,
            # Here on the CPU, because a schedule that is looked up on the GPU would be waited for.
            omega_B=self.schedule.weight(self.time_weight, self.snr_gamma, t_B),
            size_ids_B6=torch.stack(size_ids),
        )


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The same on the device; a GPU is not waited for."""
    if device.type == "cpu":
        return batch

    def move(tensor: Tensor) -> Tensor:
        return tensor.pin_memory().to(device, non_blocking=True)

    return replace(
        batch,
        weight_B=move(batch.weight_B),
        views=tuple(
            Noised(*(move(getattr(view, each.name)) for each in fields(view)))
            for view in batch.views
        ),
        texts={
            name: Text(move(text.hidden_BND), move(text.pooled_BD))
            for name, text in batch.texts.items()
        },
        cached=tuple(
            replace(entry, predictions={k: move(v) for k, v in entry.predictions.items()})
            if entry.predictions is not None
            else entry
            for entry in batch.cached
        ),
    )


def load_ahead(
    loads: Iterator[Callable[[], Batch]], device: torch.device, ahead: int = 2
) -> Generator[Batch]:
    """Load batches in a thread, a few before they are asked for, so that the device never waits.

    An error while loading is raised where its batch is asked for.
    """
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=ahead)
    stopped = threading.Event()

    def put(found: Batch | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                ready.put(found, timeout=0.2)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for load in loads:
                put(to_device(load(), device))
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001  # it is raised again where it is expected
            put(error)

    thread = threading.Thread(target=work, name="load-ahead", daemon=True)
    thread.start()
    try:
        while (found := ready.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        stopped.set()
        thread.join()
