"""What several processes have to agree on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from torch import distributed

Value = TypeVar("Value")


def from_first(compute: Callable[[], Value]) -> Value:
    """What the first process computes, or raises, in every process; where there is a single process, what it computes.

    Choices that rest on measured times would differ, and with them the networks.
    """
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return compute()
    box: list[tuple[Value | None, Exception | None]] = [(None, None)]
    if distributed.get_rank() == 0:
        try:
            box = [(compute(), None)]
        except Exception as error:  # the others would wait for ever
            box = [(None, error)]
    distributed.broadcast_object_list(box, src=0)
    value, fault = box[0]
    if fault is not None:
        raise fault
    return cast("Value", value)
