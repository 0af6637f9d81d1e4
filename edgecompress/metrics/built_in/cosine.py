"""Mean cosine of the angle between the first output and its target, -1 to 1: for embeddings."""

from __future__ import annotations

import numpy as np

from edgecompress.metrics.paired import MeanOf, Numbers


class CosineSimilarity(MeanOf):
    """Over the samples, each as one vector; one that is zero has a cosine of 0 with any other."""

    higher_is_better = True

    def __init__(self) -> None:
        super().__init__(_cosines)


def _cosines(values: Numbers, targets: Numbers) -> Numbers:
    first, second = (array.reshape(len(array), -1) for array in (values, targets))
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    products = (first * second).sum(1)
    cosines: Numbers = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return cosines


make = CosineSimilarity
