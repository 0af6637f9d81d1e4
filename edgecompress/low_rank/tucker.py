"""A convolution as three: 1x1, k x k, 1x1 (Tucker-2; Kim et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import scipy.linalg

from edgecompress.low_rank.form import Form, LayerCall, Rank, images, multiples, outputs, settings_of
from edgecompress.low_rank.parts import Part
from edgecompress.low_rank.regression import ReadingRegression, regress
from edgecompress.low_rank.truncated_svd import Matrix, balance

ROUNDS = 10
"""Most steps of the higher-order orthogonal iteration."""
STEPS = 16
"""The most ranks that are considered for either side, in addition to the full one."""
SETTLED = 1e-4
"""The share of the energy that a round must gain for another one."""


@dataclass(frozen=True, kw_only=True)
class TuckerForm(Form):
    """Ranks (outputs, inputs): 1x1 into the second, k x k into the first, 1x1 out of it.

    The channels that are read come from the higher-order SVD, and at :meth:`parts` from the higher-order orthogonal
    iteration that starts there; the rest is the best that there is for them, a regression of reduced rank.
    """

    name: ClassVar[str] = "tucker-2"

    @property
    def full(self) -> Rank:
        """All channels, or as many as there can be different ones."""
        made, read, high, wide = self.layer.weight.shape
        return min(made, read * high * wide), min(read, made * high * wide)

    def ranks(self, multiple: int) -> list[Rank]:
        """See :meth:`Form.ranks`; either of the two may be full."""
        made, read = ([*_thinned(multiples(side, multiple)), side] for side in self.full)
        kernel = self._tensor.shape[2]
        pairs = [(first, second) for first in made for second in read if (first, second) != self.full]
        return [(first, second) for first, second in pairs if first <= second * kernel and second <= first * kernel]

    def loss(self, rank: Rank) -> float:
        """The loss without the iteration."""
        explained = float(self._energies(rank[1])[: rank[0]].sum())
        return float(np.clip(1 - explained / self._whole, 0, 1)) if self._whole > 0 else 0.0

    def sizes(self, rank: Rank) -> tuple[int, ...]:
        """See :meth:`Form.sizes`."""
        made, read, high, wide = self.layer.weight.shape
        return rank[1] * read, rank[0] * rank[1] * high * wide, made * rank[0]

    def positions(self, call: LayerCall) -> tuple[int, ...]:
        """The first works on all of the input."""
        after = outputs(self.layer, call)
        return images(call) * call.source[-2] * call.source[-1], after, after

    def parts(self, rank: Rank) -> tuple[Part, ...]:
        """See :meth:`Form.parts`."""
        made, read, high, wide = self.weight.shape
        first = self._iterated(rank)
        fit = self._fit(first)
        directions = _leading(fit.projected.T, rank[0])
        core = directions.T @ fit.weights(rank[1] * high * wide)
        last, core = balance(directions, core)
        core = core.reshape(rank[0], rank[1], high * wide)
        middle, first = balance(core.transpose(0, 2, 1).reshape(-1, rank[1]), first)
        core = middle.reshape(rank[0], high, wide, rank[1]).transpose(0, 3, 1, 2)
        return (
            Part(weight=first.reshape(rank[1], read, 1, 1)),
            Part(weight=core, settings=settings_of(self.layer, (True, True))),
            Part(weight=last.reshape(made, rank[0], 1, 1)),
        )

    def product(self, parts: Sequence[Part]) -> Matrix:
        """See :meth:`Form.product`."""
        first, core, last = (part.weight for part in parts)
        whole: Matrix = np.einsum("ri,sryx,os->oiyx", first[..., 0, 0], core, last[..., 0, 0], optimize=True)
        return whole.reshape(len(whole), -1)

    @cached_property
    def _tensor(self) -> Matrix:
        """The weight with the axes (outputs, inputs, kernel)."""
        made, read, *_ = self.weight.shape
        return self.weight.reshape(made, read, -1)

    @cached_property
    def _root(self) -> Matrix | None:
        """Cholesky factor of the metric of the channels, the mean over the kernel."""
        if self.inputs is None:
            return None
        root: Matrix = scipy.linalg.cholesky(
            np.einsum("ikjk->ij", self._by_channel) / self._tensor.shape[2], lower=True
        )
        return root

    @property
    def _by_channel(self) -> Matrix:
        assert self.inputs is not None
        _, read, kernel = self._tensor.shape
        return self.inputs.reshape(read, kernel, read, kernel)

    @cached_property
    def _whitened(self) -> Matrix:
        tensor = self._tensor
        return tensor if self._root is None else np.einsum("oik,ij->ojk", tensor, self._root, optimize=True)

    @cached_property
    def _channels(self) -> Matrix:
        """What the higher-order SVD reads, in the order of its energy; shape (inputs' full rank, inputs)."""
        return self._readings(_leading(_unfold(self._whitened, 1), self.full[1]))

    def _readings(self, basis: Matrix) -> Matrix:
        """Kernels of the first convolution for a basis of the whitened channels, of length 1."""
        rows: Matrix = (
            basis.T if self._root is None else scipy.linalg.solve_triangular(self._root, basis, lower=True, trans="T").T
        )
        unit: Matrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    def _iterated(self, rank: Rank) -> Matrix:
        """The readings after the iteration for these ranks."""
        basis, gained = _leading(_unfold(self._whitened, 1), rank[1]), 0.0
        for _ in range(ROUNDS):
            made = _leading(_unfold(np.einsum("oik,ir->ork", self._whitened, basis, optimize=True), 0), rank[0])
            core = np.einsum("oik,os->sik", self._whitened, made, optimize=True)
            basis = _leading(_unfold(core, 1), rank[1])
            energy = float(np.square(np.einsum("sik,ir->srk", core, basis, optimize=True)).sum())
            if energy - gained <= SETTLED * energy:
                break
            gained = energy
        return self._readings(basis)

    @cached_property
    def _crossed(self) -> Matrix:
        """E[y patch^T], with the axes (outputs, inputs, kernel)."""
        if self.inputs is None:
            return self._tensor
        return (self.weight.reshape(len(self.weight), -1) @ self.inputs).reshape(self._tensor.shape)

    @cached_property
    def _whole(self) -> float:
        return float(np.vdot(self._crossed, self._tensor))

    def _fit(self, first: Matrix) -> ReadingRegression:
        """The regression of the outputs on the readings, in the order (reading, kernel)."""
        kernel = self._tensor.shape[2]
        size = len(first) * kernel
        crossed = np.einsum("ojl,sj->osl", self._crossed, first, optimize=True).reshape(-1, size)
        if self.inputs is None:
            return ReadingRegression(root=None, projected=crossed.T)
        half = np.einsum("ri,ikjl->rkjl", first, self._by_channel, optimize=True)
        return regress(np.einsum("rkjl,sj->rksl", half, first, optimize=True).reshape(size, size), crossed)

    @cached_property
    def _projected(self) -> Matrix:
        return self._fit(self._channels).projected

    @cached_property
    def _known(self) -> dict[int, Matrix]:
        return {}

    def _energies(self, read: int) -> Matrix:
        """The energies of the outputs' directions, descending, where so many channels are read."""
        if read not in self._known:
            rows = self._projected[: read * self._tensor.shape[2]]
            self._known[read] = scipy.linalg.eigvalsh(rows.T @ rows)[::-1]
        return self._known[read]


def _thinned(ranks: list[int]) -> list[int]:
    """At most ``STEPS`` of the ranks, evenly spread."""
    step = -(-len(ranks) // STEPS) or 1
    return ranks[step - 1 :: step]


def _unfold(tensor: Matrix, axis: int) -> Matrix:
    return np.moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1)


def _leading(matrix: Matrix, count: int) -> Matrix:
    """The first left singular vectors; of a wide matrix the eigenvectors of its square, which cost far less."""
    rows, columns = matrix.shape
    if rows > columns:
        vectors: Matrix = scipy.linalg.svd(matrix, full_matrices=False)[0][:, :count]
        return vectors
    found: Matrix = scipy.linalg.eigh(matrix @ matrix.T, subset_by_index=(rows - count, rows - 1))[1][:, ::-1]
    return found
