"""The best layer behind a first one that is given: a regression of the outputs on what the first one reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from edgecompress.low_rank.truncated_svd import Matrix

RIDGE = 1e-12
"""Ridge as a share of the mean variance, so that readings that repeat each other have a Cholesky factor."""


@dataclass(frozen=True, kw_only=True)
class ReadingRegression:
    """The regression of outputs on readings z, for the first q of them at any q.

    Attributes:
        root: Cholesky factor of E[z z^T], shape (q, q), lower; None for the identity.
        projected: the outputs in the basis of the readings made orthonormal, shape (q, m).
    """

    root: Matrix | None
    projected: Matrix

    def explained(self) -> Matrix:
        """The energy of the outputs that the first readings account for, by their number less one; shape (q,)."""
        energies: Matrix = np.cumsum(np.square(self.projected).sum(axis=1))
        return energies

    def weights(self, count: int) -> Matrix:
        """Weights of the layer on the first ``count`` readings; shape (m, count)."""
        if self.root is None:
            return self.projected[:count].T
        root = self.root[:count, :count]
        solved: Matrix = scipy.linalg.solve_triangular(root, self.projected[:count], lower=True, trans="T")
        return solved.T


def regress(second: Matrix, crossed: Matrix) -> ReadingRegression:
    """The regression in closed form.

    Args:
        second: E[z z^T] of the readings, shape (q, q).
        crossed: E[y z^T] of outputs and readings, shape (m, q).
    """
    level = RIDGE * max(float(np.trace(second)) / len(second), np.finfo(np.float64).tiny)
    root = scipy.linalg.cholesky(second + level * np.eye(len(second)), lower=True)
    return ReadingRegression(root=root, projected=scipy.linalg.solve_triangular(root, crossed.T, lower=True))
