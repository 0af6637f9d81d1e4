"""The ways in which a layer can be written as thinner ones that cost less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import nn

from edgecompress.low_rank.form import Form, LayerCall, Rank, calls_macs
from edgecompress.low_rank.matrix_form import MatrixForm
from edgecompress.low_rank.parts import Layer
from edgecompress.low_rank.spatial import SpatialForm
from edgecompress.low_rank.truncated_svd import InputMoments
from edgecompress.low_rank.tucker import TuckerForm


@dataclass(frozen=True, kw_only=True)
class Option:
    """A form at a rank.

    Attributes:
        form: how.
        rank: at which rank.
        loss: squared error of the layer's output as a share of its energy.
        parameters: weights, without the bias.
        macs: multiply-accumulates of the layer's calls; 0 where none are known.
    """

    form: Form
    rank: Rank
    loss: float
    parameters: int
    macs: int

    def __str__(self) -> str:
        return f"rank {' x '.join(map(str, self.rank))} ({self.form.name})"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A layer that may be decomposed, the forms that suit it, and its calls where they are known."""

    name: str
    layer: Layer
    forms: tuple[Form, ...]
    calls: tuple[LayerCall, ...] = ()

    @cached_property
    def parameters(self) -> int:
        """Weights, without the bias."""
        return self.layer.weight.numel()

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of the layer's calls."""
        return calls_macs(self.layer, self.calls)

    def option(self, form: Form, rank: Rank) -> Option:
        """A form at a rank, whether or not it pays."""
        macs = form.macs(rank, self.calls)
        return Option(form=form, rank=rank, loss=form.loss(rank), parameters=form.parameters(rank), macs=macs)

    def pays(self, form: Form, rank: Rank) -> bool:
        """Whether it has fewer weights than the layer, and needs fewer multiply-accumulates."""
        fewer = form.parameters(rank) < self.parameters
        return fewer and (not self.calls or form.macs(rank, self.calls) < self.macs)

    def options(self, multiple: int) -> list[Option]:
        """All that pay, at ranks that are multiples."""
        return [
            self.option(form, rank) for form in self.forms for rank in form.ranks(multiple) if self.pays(form, rank)
        ]

    def __str__(self) -> str:
        rows, columns, *kernel = self.layer.weight.shape
        sizes = f"{rows} x {columns}"
        return f"{sizes}, kernel {' x '.join(map(str, kernel))}," if any(size > 1 for size in kernel) else sizes


def candidate(
    name: str, layer: Layer, calls: Sequence[LayerCall] = (), moments: InputMoments | None = None
) -> Candidate:
    """A layer with the forms that suit its kind."""
    pointwise = not isinstance(layer, nn.Conv2d) or tuple(layer.kernel_size) == (1, 1)
    kinds: tuple[type[Form], ...] = (MatrixForm,) if pointwise else (SpatialForm, TuckerForm)
    forms = tuple(kind(layer=layer, moments=moments) for kind in kinds)
    return Candidate(name=name, layer=layer, forms=forms, calls=tuple(calls))
