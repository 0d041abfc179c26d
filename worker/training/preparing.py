"""What is encoded before the first step: everything that the steps will read."""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from worker.training.encodings import Encodings
from worker.training.objectives import Encoded
from worker.training.plan import Plan, Shape


def encode(
    encodings: Encodings,
    objective: Encoded,
    needed: Sequence[tuple[Any, Shape]],
    before_each: Callable[[str], None],
) -> None:
    """Encode pictures and texts of items, each with its shape.

    `before_each` is told how far it has come, and raises where the run is asked to stop.
    """
    pictures = [
        (picture, (shape[0], shape[1]))
        for item, shape in needed
        for picture in objective.pictures(item)
    ]
    if needed:
        encodings.check_memory(pictures[0], objective.texts(needed[0][0]), len(needed))
    with closing(encodings.encode_ahead(pictures)) as encoded:
        for done, (item, _) in enumerate(needed):
            before_each(f"Encoding images: {done} of {len(needed)}.")
            for _ in objective.pictures(item):
                next(encoded)
            encodings.prepare_text(objective.texts(item))


def items_of(plan: Plan, done: int) -> list[int]:
    """The items that this process's steps after `done` use, in order of first use."""
    found: dict[int, None] = {}
    for step in range(done + 1, plan.total_steps + 1):
        if len(found) == len(plan.shapes):
            break
        for this_pass in plan.passes(step):
            found.update(dict.fromkeys(this_pass.indices))
    return list(found)
