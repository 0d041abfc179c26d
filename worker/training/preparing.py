"""What is encoded: everything that the steps will read, before the first one or beside them."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from types import TracebackType
from typing import Any

import torch

from worker.training.encodings import Encodings
from worker.training.objectives import Encoded
from worker.training.plan import Plan, Shape
from worker.training.stopping import Leave

Needed = Sequence[tuple[Any, Shape]]
"""Items, each with its shape, in the order in which steps read them."""
GIVING_WAY = 0.001
"""Seconds between two items that are encoded beside: who waits for the encoders has them then."""


def encode(
    encodings: Encodings, objective: Encoded, needed: Needed, before_each: Callable[[str], None]
) -> None:
    """Encode pictures and texts of items.

    `before_each` is told how far it has come, and raises where the run is asked to stop.
    """
    pictures = [
        (picture, (shape[0], shape[1]))
        for item, shape in needed
        for picture in objective.pictures(item)
    ]
    together = encodings.backbone.texts_together
    with closing(encodings.encode_ahead(pictures)) as encoded:
        for done, (item, _) in enumerate(needed):
            before_each(f"Encoding images: {done} of {len(needed)}.")
            if done % together == 0:
                some = [each for each, _ in needed[done : done + together]]
                encodings.prepare_text([text for each in some for text in objective.texts(each)])
            for _ in objective.pictures(item):
                next(encoded)


def check_memory(encodings: Encodings, objective: Encoded, needed: Needed) -> None:
    """Raise InvalidConfig where all of these are to be kept in memory, and are more than most machines can spare."""
    if needed:
        item, (width, height, *_) = needed[0]
        picture = objective.pictures(item)[0]
        encodings.check_memory((picture, (width, height)), objective.texts(item), len(needed))


class Beside:
    """A thread that encodes what later steps read, in their order, while the first ones train.

    What a step needs before that is encoded is encoded at once (`see_to`): latents are the same, whoever asks for
    them and beside whichever others they are encoded.
    """

    def __init__(self, encodings: Encodings, objective: Encoded, needed: Needed) -> None:
        """Only takes note; it begins where a with statement does, if anything is needed, and is left there."""
        self.encodings, self.objective, self.needed = encodings, objective, needed
        self.message = ""
        """How far it has come; empty when all is done."""
        self._error: BaseException | None = None
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._work, name="encoding-beside", daemon=True)

    def __enter__(self) -> None:
        if self.needed:
            self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        if self._thread.is_alive():
            self._thread.join()

    def see_to(self, needed: Needed) -> None:
        """Have these encoded now, if they are not."""
        if self._thread.is_alive():
            encode(self.encodings, self.objective, needed, lambda _: None)

    def check(self) -> None:
        """Raise what has gone wrong: a picture that cannot be read, a latent that is no number."""
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        backbone = self.encodings.backbone
        try:
            with _stream_of_its_own(backbone.device):
                encode(self.encodings, self.objective, self.needed, self._before_each)
                with self.encodings.turn:
                    backbone.release_encoders()
        except Leave:
            pass
        except BaseException as error:  # noqa: BLE001  # it is raised again where it is asked for
            self._error = error
        finally:
            self.message = ""

    def _before_each(self, message: str) -> None:
        self.message = message
        if self._left.wait(GIVING_WAY):
            raise Leave


def _stream_of_its_own(device: torch.device) -> AbstractContextManager[Any]:
    """On a GPU steps and encoding do not wait for each other's kernels."""
    if device.type != "cuda":
        return nullcontext()
    stream: AbstractContextManager[Any] = torch.cuda.stream(torch.cuda.Stream(device))
    return stream


def items_of(plan: Plan, done: int, last: int | None = None) -> list[int]:
    """The items that this process's steps after `done` use, up to the step `last` (or all), in order of first use."""
    found: dict[int, None] = {}
    for step in range(done + 1, (plan.total_steps if last is None else last) + 1):
        if len(found) == len(plan.shapes):
            break
        for this_pass in plan.passes(step):
            found.update(dict.fromkeys(this_pass.indices))
    return list(found)
