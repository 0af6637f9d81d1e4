"""A convolution as one along the height and one along the width (Jaderberg et al. 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from edgecompress.low_rank.form import Form, LayerCall, Rank, images, multiples, outputs, settings_of
from edgecompress.low_rank.parts import Part
from edgecompress.low_rank.regression import ReadingRegression, regress
from edgecompress.low_rank.truncated_svd import Matrix, Ranked, balance, rank


@dataclass(frozen=True, kw_only=True)
class SpatialForm(Form):
    """Kernel (k, 1) into ``rank`` channels, then kernel (1, k), by truncated SVD of the kernel as a matrix.

    That matrix has a row for each output and column, and a column for each input and row. With moments of the inputs
    its rows do not err independently, as they read patches that overlap: the second convolution is then regressed
    on what the first one reads.
    """

    name: ClassVar[str] = "spatial"

    @property
    def full(self) -> Rank:
        """The lesser side of the matrix."""
        return (min(self._matrix.shape),)

    def ranks(self, multiple: int) -> list[Rank]:
        """See :meth:`Form.ranks`."""
        return [(count,) for count in multiples(self.full[0], multiple)]

    def loss(self, rank: Rank) -> float:
        """See :meth:`Form.loss`."""
        if self.inputs is None:
            return self._ranked.loss(rank[0])
        whole = float(np.vdot(self._crossed, self._flat))
        explained = float(self._regression.explained()[rank[0] * self.weight.shape[3] - 1])
        return float(np.clip(1 - explained / whole, 0, 1)) if whole > 0 else 0.0

    def sizes(self, rank: Rank) -> tuple[int, ...]:
        """See :meth:`Form.sizes`."""
        made, read, high, wide = self.layer.weight.shape
        return rank[0] * read * high, made * rank[0] * wide

    def positions(self, call: LayerCall) -> tuple[int, ...]:
        """The first works on every column of the input, on the rows of the output."""
        return images(call) * call.result[-2] * call.source[-1], outputs(self.layer, call)

    def parts(self, rank: Rank) -> tuple[Part, ...]:
        """See :meth:`Form.parts`."""
        made, read, high, wide = self.weight.shape
        first = self._readings[: rank[0]]
        if self.inputs is None:
            second = self._ranked.directions[:, : rank[0]] * self._lengths[: rank[0]]
            second = second.reshape(made, wide, rank[0]).transpose(0, 2, 1)
        else:
            second = self._regression.weights(rank[0] * wide).reshape(made, rank[0], wide)
        left, right = balance(second.transpose(0, 2, 1).reshape(made * wide, rank[0]), first)
        return (
            Part(weight=right.reshape(rank[0], read, high, 1), settings=settings_of(self.layer, (True, False))),
            Part(
                weight=left.reshape(made, wide, rank[0]).transpose(0, 2, 1)[:, :, None],
                settings=settings_of(self.layer, (False, True)),
            ),
        )

    def product(self, parts: Sequence[Part]) -> Matrix:
        """See :meth:`Form.product`."""
        first, second = (part.weight for part in parts)
        whole: Matrix = np.einsum("riy,orx->oiyx", first[..., 0], second[:, :, 0], optimize=True)
        return whole.reshape(len(whole), -1)

    @cached_property
    def _flat(self) -> Matrix:
        return self.weight.reshape(len(self.weight), -1)

    @cached_property
    def _matrix(self) -> Matrix:
        made, read, high, wide = self.weight.shape
        return self.weight.transpose(0, 3, 1, 2).reshape(made * wide, read * high)

    @cached_property
    def _ranked(self) -> Ranked:
        return rank(self._matrix, None if self.inputs is None else self._column_metric)

    @cached_property
    def _lengths(self) -> Matrix:
        lengths: Matrix = np.linalg.norm(self._ranked.directions.T @ self._matrix, axis=1)
        return lengths

    @cached_property
    def _readings(self) -> Matrix:
        """Kernels of the first convolution, of length 1."""
        raw: Matrix = self._ranked.directions.T @ self._matrix
        return raw / np.where(self._lengths > 0, self._lengths, 1.0)[:, None]

    @property
    def _by_column(self) -> Matrix:
        """The metric with the axes (input and row, column) twice."""
        assert self.inputs is not None
        lines, wide = self._matrix.shape[1], self.weight.shape[3]
        return self.inputs.reshape(lines, wide, lines, wide)

    @property
    def _column_metric(self) -> Matrix:
        """Metric of a patch that is a column wide: the mean over the columns of the kernel."""
        metric: Matrix = np.einsum("pxqx->pq", self._by_column) / self.weight.shape[3]
        return metric

    @cached_property
    def _crossed(self) -> Matrix:
        """E[y patch^T]."""
        assert self.inputs is not None
        return self._flat @ self.inputs

    @cached_property
    def _regression(self) -> ReadingRegression:
        """Regression of the outputs on the readings at every column, in the order (reading, column)."""
        first, wide = self._readings, self.weight.shape[3]
        size = len(first) * wide
        half = np.einsum("rp,pxqz->rxqz", first, self._by_column, optimize=True)
        second = np.einsum("rxqz,sq->rxsz", half, first, optimize=True).reshape(size, size)
        crossed = self._crossed.reshape(len(self.weight), -1, wide)
        return regress(second, np.einsum("oqz,sq->osz", crossed, first, optimize=True).reshape(-1, size))
