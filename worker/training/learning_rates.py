"""The learning rate of a step: a function of the step alone, so a resumed run needs nothing saved."""

import math

from method.training.config import Optimization


def learning_rate(optimization: Optimization, peak: float, step: int, total_steps: int) -> float:
    """Return the learning rate of a step, counted from 1.

    It grows linearly from zero and is `peak` at step `warmup_steps`. From there it stays, or falls toward
    zero, which the step after the last would have. `peak` is given apart because it may be scaled by the
    effective batch.
    """
    warmup = optimization.warmup_steps
    if step <= warmup:
        return peak * step / warmup
    if optimization.schedule == "constant":
        return peak
    gone = (step - 1 - warmup) / (total_steps - warmup)
    if optimization.schedule == "linear":
        return peak * (1 - gone)
    return peak * (1 + math.cos(math.pi * gone)) / 2
