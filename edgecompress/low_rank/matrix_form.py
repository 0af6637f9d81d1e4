"""A linear layer, or a convolution of kernel 1, as two layers: truncated SVD of its matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from torch import nn

from edgecompress.low_rank.form import Form, LayerCall, Rank, multiples, outputs, settings_of
from edgecompress.low_rank.parts import Part
from edgecompress.low_rank.truncated_svd import Matrix, Ranked, rank, split


@dataclass(frozen=True, kw_only=True)
class MatrixForm(Form):
    """An m x n layer as n -> rank -> m; a convolution's stride and padding go to the first, which makes no bias.

    Attributes:
        layer: ``nn.Linear``, or a convolution of kernel 1.
    """

    name: ClassVar[str] = "svd"

    @property
    def full(self) -> Rank:
        """The lesser side of the matrix."""
        return (min(self.layer.weight.shape[:2]),)

    def ranks(self, multiple: int) -> list[Rank]:
        """See :meth:`Form.ranks`."""
        return [(count,) for count in multiples(self.full[0], multiple)]

    def loss(self, rank: Rank) -> float:
        """The tail of the squared singular values."""
        return self._ranked.loss(rank[0])

    def sizes(self, rank: Rank) -> tuple[int, ...]:
        """See :meth:`Form.sizes`."""
        rows, columns = self.layer.weight.shape[:2]
        return rank[0] * columns, rows * rank[0]

    def positions(self, call: LayerCall) -> tuple[int, ...]:
        """Both work where the layer did."""
        return (outputs(self.layer, call),) * 2

    def parts(self, rank: Rank) -> tuple[Part, ...]:
        """See :meth:`Form.parts`."""
        left, right = split(self._ranked.directions[:, : rank[0]], self._matrix)
        if isinstance(self.layer, nn.Linear):
            return Part(weight=right), Part(weight=left)
        kernel = (1,) * (self.layer.weight.dim() - 2)
        settings = settings_of(self.layer, (True,) * len(kernel))
        return Part(weight=right.reshape(*right.shape, *kernel), settings=settings), Part(
            weight=left.reshape(*left.shape, *kernel)
        )

    def product(self, parts: Sequence[Part]) -> Matrix:
        """See :meth:`Form.product`."""
        right, left = (part.weight.reshape(part.weight.shape[:2]) for part in parts)
        product: Matrix = left @ right
        return product

    @cached_property
    def _matrix(self) -> Matrix:
        return self.weight.reshape(len(self.weight), -1)

    @cached_property
    def _ranked(self) -> Ranked:
        return rank(self._matrix, self.inputs)
