"""Metrics that keep what they are given."""

from __future__ import annotations

from typing import Any

from torch import nn


class Kept:
    """Keeps what it is given; every network's metric is this one."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    def update(self, *given: Any) -> None:
        self.given.append(given)

    def compute(self) -> Any:
        return 1.0

    def reset(self) -> None:
        self.given.clear()

    def __deepcopy__(self, memo: dict[int, Any]) -> Kept:
        return self


class KeptModule(Kept, nn.Module):
    """The same as a module."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        Kept.__init__(self)
