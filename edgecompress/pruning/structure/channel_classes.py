"""Channel labels and the classes they fall into: channels of one class can only be removed together."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

UNLABELLED = 0
"""The label of an element that belongs to no channel that could be removed."""


class Classes:
    """A partition of labels that grows coarser as the analysis learns what belongs together.

    Labels are positive integers in int64 tensors of any shape; the least label of a class stands for it.

    >>> classes = Classes()
    >>> outputs, scales = classes.fresh(3), classes.fresh(3)
    >>> classes.unify(outputs, scales)
    >>> classes.find(scales).tolist()
    [1, 2, 3]
    """

    def __init__(self) -> None:
        self._roots = np.zeros(1, np.int64)
        self._reasons: dict[int, str] = {}

    def __len__(self) -> int:
        """The number of labels ever given out, that of the unlabelled included."""
        return len(self._roots)

    def fresh(self, count: int) -> Tensor:
        """New labels, (count,), each a class of its own."""
        start = len(self._roots)
        self._roots = np.concatenate([self._roots, np.arange(start, start + count)])
        return torch.arange(start, start + count)

    def find(self, labels: Tensor) -> Tensor:
        """The class of each label, in the same shape."""
        return torch.from_numpy(np.asarray(self._roots[labels.numpy()]))

    def unify(self, left: Tensor, right: Tensor) -> None:
        """Put each label of ``left`` into one class with that of ``right`` at the same place."""
        pairs = torch.stack([self.find(left).flatten(), self.find(right).flatten()])
        pairs = pairs[:, (pairs[0] != pairs[1]) & (pairs != UNLABELLED).all(0)]
        if pairs.numel():
            links = coo_array((np.ones(pairs.shape[1], bool), tuple(pairs.numpy())), shape=(len(self), len(self)))
            _, component = connected_components(links, directed=False)
            _, least = np.unique(component, return_index=True)  # labels are in order: the first of each is the least
            self._roots = least[component][self._roots]

    def freeze(self, labels: Tensor, reason: str) -> None:
        """Keep the classes of these labels whole; the first reason given for a label stands."""
        for label in np.unique(labels.numpy()).tolist():
            if label != UNLABELLED:
                self._reasons.setdefault(label, reason)

    def frozen(self) -> dict[int, str]:
        """The classes that stay whole, each with its reason."""
        reasons: dict[int, str] = {}
        for label, reason in self._reasons.items():
            reasons.setdefault(int(self._roots[label]), reason)
        return reasons
