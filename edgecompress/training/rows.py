"""Rows of a batch of inputs: how many there are, and some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor


def some_rows(inputs: Mapping[str, Tensor], chosen: Sequence[int]) -> dict[str, Tensor]:
    """Inputs for the rows ``chosen``; those that do not share the batch dimension stay whole."""
    rows = count_rows(inputs)
    if len(chosen) == rows:
        return dict(inputs)
    return {name: value[list(chosen)] if value.shape[:1] == (rows,) else value for name, value in inputs.items()}


def count_rows(inputs: Mapping[str, Tensor]) -> int:
    """The first dimension of the first input that has one."""
    return next((len(value) for value in inputs.values() if value.ndim), 1)
