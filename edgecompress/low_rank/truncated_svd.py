"""The best approximation of a matrix by one of lower rank, where the inputs that it multiplies decide what is best.

All of it in float64. For inputs x of a matrix W, the error that counts is E |Wx - W'x|^2, that is |(W - W') L|^2 with
L L^T = E[x x^T], the Cholesky factor that whitens them (Wang et al. 2024, "SVD-LLM"). By Eckart and Young its least for
a rank r is the tail of the squared singular values of W L, and W' = P P^T W reaches it, P being the first r left
singular vectors: no inverse of L is needed, so that inputs that never vary do no harm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""float64 matrix; any number of axes where the text says so."""

DAMPING = 1e-6
"""Share of the mean variance added to each: directions in which no input varied are ranked only by the weights."""


@dataclass(frozen=True, kw_only=True)
class InputMoments:
    """Moments of the inputs of a matrix: their mean, shape (n,), and the mean of x x^T, shape (n, n)."""

    mean: Matrix
    second: Matrix


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """The directions of a matrix's outputs, shape (m, k), and the output's energy along each, descending."""

    directions: Matrix
    energies: Matrix

    def loss(self, rank: int) -> float:
        """The share of the output's energy that is lost beyond a rank, 0 to 1."""
        total = float(self.energies.sum())
        return float(self.energies[rank:].sum()) / total if total > 0 else 0.0


def metric(moments: InputMoments, *, centred: bool) -> Matrix | None:
    """E[x x^T], damped so that it is positive definite, or the covariance; None where no input varied.

    Args:
        moments: of the inputs.
        centred: where a bias can take up the error of the mean, only the rest counts.
    """
    second = moments.second
    if centred:
        second = second - np.outer(moments.mean, moments.mean)
    level = float(np.trace(second)) / len(second)
    whole = float(np.trace(moments.second)) / len(second)
    return second + DAMPING * level * np.eye(len(second)) if level > 1e-12 * whole else None


def rank(weight: Matrix, inputs: Matrix | None) -> Ranked:
    """The directions of a matrix's outputs by their energy.

    Args:
        weight: shape (m, n).
        inputs: their :func:`metric`, shape (n, n); None for inputs that all vary alike.
    """
    whitened = weight if inputs is None else weight @ scipy.linalg.cholesky(inputs, lower=True)
    directions, values, _ = scipy.linalg.svd(whitened, full_matrices=False)
    return Ranked(directions=directions, energies=np.square(values))


def split(directions: Matrix, weight: Matrix) -> tuple[Matrix, Matrix]:
    """The two factors of P P^T W, shapes (m, r) and (r, n).

    For singular vectors P of W itself they are U sqrt(S) and sqrt(S) V^T.
    """
    return balance(directions, directions.T @ weight)


def balance(left: Matrix, right: Matrix) -> tuple[Matrix, Matrix]:
    """Factors with the same product, in which each column of one is as long as the row of the other that it meets.

    Args:
        left: shape (m, r).
        right: shape (r, n).
    """
    lengths = np.linalg.norm(left, axis=0), np.linalg.norm(right, axis=1)
    used = (lengths[0] > 0) & (lengths[1] > 0)
    scale = np.sqrt(np.divide(lengths[1], lengths[0], out=np.ones_like(lengths[0]), where=used))
    scale[~used] = 1.0
    return left * scale, right / scale[:, None]
