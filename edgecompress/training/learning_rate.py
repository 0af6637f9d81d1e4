"""The learning rate over a run: pure functions of the share of the run that is done, and schedulers of them."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

SchedulerFactory = Callable[[Optimizer, int], LRScheduler]
"""An optimizer and the number of its steps in the whole run, to a scheduler that is stepped after each."""

FIRST = 0.04
"""Learning rate at which the warm-up begins, as a share of the highest learning rate."""
LAST = 1e-4


def one_cycle(optimizer: Optimizer, steps: int) -> LRScheduler:
    """Up for 30 % of the run, then down to nothing, both along half a cosine (Smith and Topin, 2018)."""
    return LambdaLR(optimizer, lambda step: warm_cosine(step / steps, warm=0.3))


def cosine(optimizer: Optimizer, steps: int) -> LRScheduler:
    """A warm-up over 5 % of the run, then down along half a cosine (Loshchilov and Hutter, 2017)."""
    return LambdaLR(optimizer, lambda step: warm_cosine(step / steps, warm=0.05))


def warm_cosine(done: float, warm: float) -> float:
    """The factor of the learning rate when the share ``done`` of the run is behind, ``warm`` of it the warm-up.

    >>> warm_cosine(0.0, 0.3), warm_cosine(0.3, 0.3), warm_cosine(1.0, 0.3)
    (0.04, 1.0, 0.0001)
    """
    if done < warm:
        return FIRST + (1 - FIRST) * (1 - math.cos(math.pi * done / warm)) / 2
    rest = min(1.0, (done - warm) / (1 - warm))
    return max(LAST, (1 + math.cos(math.pi * rest)) / 2)
