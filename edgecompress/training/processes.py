"""What several processes have to agree on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import distributed

Value = TypeVar("Value")


def from_first(compute: Callable[[], Value]) -> Value:
    """What the first process computes, in every process; alone, what this one does.

    Choices that rest on measured times would differ, and with them the networks.
    """
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return compute()
    box = [compute() if distributed.get_rank() == 0 else None]
    distributed.broadcast_object_list(box, src=0)
    value = box[0]
    assert value is not None
    return value
