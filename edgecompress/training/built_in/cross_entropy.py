"""Softmax cross entropy of class indices, PyTorch's ``CrossEntropyLoss``: the mean over the labels that count."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from edgecompress.metrics.accuracy import IGNORED_LABEL
from edgecompress.training.readings import CLASSES, reads


@reads(CLASSES)
def loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Of scores (rows, classes, ...) and class indices (rows, ...), -100 for what does not count; 0 where none does."""
    total = functional.cross_entropy(scores, labels, ignore_index=IGNORED_LABEL, reduction="sum")
    return total / (labels != IGNORED_LABEL).sum().clamp_min(1)
