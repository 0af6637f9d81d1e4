"""A form: a way to write a layer as thinner ones, at any rank."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from torch import nn

from edgecompress.low_rank.parts import Layer, Part, assemble, weight_of
from edgecompress.low_rank.truncated_svd import InputMoments, Matrix, metric

Rank = tuple[int, ...]
"""One rank; or two, of the outputs and of the inputs."""


@dataclass(frozen=True, kw_only=True)
class LayerCall:
    """The shapes of the input and the output of one call of a layer."""

    source: tuple[int, ...]
    result: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Form(ABC):
    """A layer's weight, taken apart.

    Attributes:
        layer: of one group; not modified.
        moments: of the patches that the layer's weight multiplies, in the order of its axes; without them every
            input counts as much.
    """

    layer: Layer
    moments: InputMoments | None = None
    name: ClassVar[str]

    @property
    @abstractmethod
    def full(self) -> Rank:
        """The rank at which nothing is lost."""

    @abstractmethod
    def loss(self, rank: Rank) -> float:
        """The squared error of the output as a share of its energy, 0 to 1."""

    @abstractmethod
    def parts(self, rank: Rank) -> tuple[Part, ...]:
        """The layers, in the order in which they run."""

    @abstractmethod
    def product(self, parts: Sequence[Part]) -> Matrix:
        """The weight of the one layer that computes what the parts do, shape (outputs, inputs times kernel)."""

    @abstractmethod
    def sizes(self, rank: Rank) -> tuple[int, ...]:
        """The weights of each part."""

    @abstractmethod
    def positions(self, call: LayerCall) -> tuple[int, ...]:
        """Number of times that each part multiplies all of its weights."""

    @abstractmethod
    def ranks(self, multiple: int) -> list[Rank]:
        """The ranks that are multiples, below the full one; one multiple at least, unless that is more than full."""

    @cached_property
    def weight(self) -> Matrix:
        """Weight of the layer in float64, in the layer's own shape."""
        return weight_of(self.layer)

    @cached_property
    def inputs(self) -> Matrix | None:
        """The metric in which an error counts; None where every input counts alike."""
        return None if self.moments is None else metric(self.moments, centred=self.layer.bias is not None)

    def parameters(self, rank: Rank) -> int:
        """Weights, without the bias."""
        return sum(self.sizes(rank))

    def macs(self, rank: Rank, calls: Sequence[LayerCall]) -> int:
        """Multiply-accumulates of these calls."""
        sizes = self.sizes(rank)
        return sum(size * times for call in calls for size, times in zip(sizes, self.positions(call), strict=True))

    def build(self, rank: Rank) -> nn.Sequential:
        """The layers in the place of the one; where moments are known, the bias takes up the mean error."""
        parts = self.parts(rank)
        if self.moments is None or self.layer.bias is None:
            return assemble(self.layer, parts)
        error = self.weight.reshape(len(self.weight), -1) - self.product(parts)
        return assemble(self.layer, parts, error @ self.moments.mean)


def multiples(full: int, multiple: int) -> list[int]:
    """The multiples up to, and without, a full rank.

    >>> multiples(20, 8)
    [8, 16]
    """
    return list(range(multiple, full, multiple))


def calls_macs(layer: Layer, calls: Sequence[LayerCall]) -> int:
    """Multiply-accumulates of a layer as it is."""
    return sum(layer.weight.numel() * outputs(layer, call) for call in calls)


def outputs(layer: Layer, call: LayerCall) -> int:
    """The positions at which a layer computes all of its outputs."""
    return math.prod(call.result) // layer.weight.shape[0]


def images(call: LayerCall) -> int:
    """The images of a call, whose batch dimension may be missing."""
    return math.prod(call.source[:-3])


def padding_of(layer: nn.Conv1d | nn.Conv2d, keep: Sequence[bool]) -> str | tuple[int, ...]:
    """A convolution's padding on the axes that are kept, none on the others; ``same`` finds that by itself.

    A padding that copies what is inside (``reflect``, ``replicate``, ``circular``) may be split too: the other part
    works on each row, or each column, by itself.
    """
    if isinstance(layer.padding, str):
        return layer.padding
    return tuple(pad if kept else 0 for pad, kept in zip(layer.padding, keep, strict=True))


def settings_of(layer: Layer, keep: Sequence[bool]) -> dict[str, object]:
    """Stride, padding and dilation of a convolution on the axes that are kept."""
    assert not isinstance(layer, nn.Linear)
    return {
        "stride": tuple(size if kept else 1 for size, kept in zip(layer.stride, keep, strict=True)),
        "padding": padding_of(layer, keep),
        "dilation": tuple(size if kept else 1 for size, kept in zip(layer.dilation, keep, strict=True)),
    }
