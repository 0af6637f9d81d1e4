"""A dataset of single samples, such as PyTorch's, as batches.

A sample has the form of a batch, without its dimension: ``(input, target)``, ``input``, or a dict by name. Inputs are
stacked. Targets are stacked where they are numbers or arrays of one shape; of all others, such as dicts of boxes, there
is a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset

from edgecompress.data.parts import target_key
from edgecompress.errors import DataError, a_kind
from edgecompress.metrics.targets import is_array

BATCH_ROWS = 16
"""Samples to a batch where nothing else is said."""


class Loaded:
    """The samples of a dataset in batches: in their order, those to train on shuffled anew in each pass.

    The shuffled order depends on the seed of PyTorch's global generator, which it leaves as it is; training sets that
    seed for each epoch.

    Args:
        dataset: with ``__getitem__`` and ``__len__``, such as a list, or an ``IterableDataset`` of samples.
        role: of the data.
        rows: samples to a batch; the last one may have fewer.
    """

    def __init__(self, dataset: Dataset[Any] | Sequence[Any], *, role: str, rows: int) -> None:
        self._dataset, self._role, self._rows = dataset, role, rows
        if not isinstance(dataset, IterableDataset) and not hasattr(dataset, "__len__"):
            raise DataError(f"the {role} data is {a_kind(dataset)} without a length; define __len__")

    def __len__(self) -> int:
        """Number of batches; a ``TypeError`` where the dataset has no length."""
        return -(-len(self._dataset) // self._rows)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        held: list[Any] = []
        first = 0
        for sample in self._samples():
            held.append(sample)
            if len(held) == self._rows:
                yield collate(held, f"{self._role} samples from {first} on")
                held, first = [], first + self._rows
        if held:
            yield collate(held, f"{self._role} samples from {first} on")

    def _samples(self) -> Iterator[Any]:
        if isinstance(self._dataset, IterableDataset):
            yield from self._dataset
            return
        count = len(self._dataset)  # type: ignore[arg-type]
        generator = torch.Generator().manual_seed(torch.initial_seed())
        order = torch.randperm(count, generator=generator).tolist() if self._role == "train" else range(count)
        for index in order:
            yield self._dataset[index]


def collate(samples: Sequence[Any], where: str) -> Any:
    """The batch of some samples, in their form.

    Args:
        samples: one at least, all of the same form.
        where: the beginning of a message.

    Raises:
        DataError: inputs have different shapes, or are no numbers.
    """
    first = samples[0]
    if isinstance(first, Mapping):
        key = target_key(first)
        parts = {name: _column(samples, name, where) for name in first}
        texts = {name for name, part in parts.items() if isinstance(part[0], (str, bytes))}
        return {n: _targets(part) if n == key or n in texts else _inputs(part, where) for n, part in parts.items()}
    if isinstance(first, (tuple, list)):
        inputs, *others = (_column(samples, place, where) for place in range(len(first)))
        return (_inputs(inputs, where), *map(_targets, others))
    return _inputs(samples, where)


def _column(samples: Sequence[Any], key: Any, where: str) -> list[Any]:
    try:
        return [sample[key] for sample in samples]
    except (KeyError, IndexError, TypeError):
        raise DataError(f"{where}: one has no {key!r}, which the first has; give all the same parts") from None


def _inputs(values: Sequence[Any], where: str) -> Any:
    first = values[0]
    if isinstance(first, Mapping):
        return {name: _inputs(_column(values, name, where), where) for name in first}
    if isinstance(first, (tuple, list)):
        return tuple(_inputs(_column(values, place, where), where) for place in range(len(first)))
    if all(map(is_array, values)):
        shapes = [tuple(value.shape) for value in values]
        if other := next((shape for shape in shapes if shape != shapes[0]), None):
            raise DataError(
                f"{where}: inputs have shapes {shapes[0]} and {other}; give all one shape, or a DataLoader that pads"
            )
        return _stacked(values)
    if all(isinstance(value, Real) for value in values):
        return np.asarray(values)
    raise DataError(f"{where}: an input is {a_kind(first)}; give arrays or tensors, such as a transform makes")


def _targets(values: Sequence[Any]) -> Any:
    if all(value is None for value in values):
        return None
    if all(map(is_array, values)) and len({tuple(value.shape) for value in values}) == 1:
        return _stacked(values)
    return np.asarray(values) if all(isinstance(value, Real) for value in values) else list(values)


def _stacked(values: Sequence[Any]) -> Any:
    if all(isinstance(value, torch.Tensor) for value in values):
        return torch.stack(list(values))
    return np.stack([np.asarray(value) for value in values])
