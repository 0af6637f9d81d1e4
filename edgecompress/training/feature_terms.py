"""Feature terms: the loss where a student's layers differ from its teacher's, added to that of the outputs.

Features are (rows, channels, *space) where they have four axes or more, (rows, tokens, channels) where they have
three, and (rows, channels) where they have two. Where spaces differ in size, both are averaged down to the smaller one.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecompress.errors import RecipeError
from edgecompress.recipe.arguments import number

CONVOLUTIONS: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {4: nn.Conv2d, 5: nn.Conv3d}
"""Convolution types by the number of a feature's axes."""


@dataclass(frozen=True)
class FeatureTerm:
    """A student's layer that follows one of the teacher's, both by name; the same name where one is given.

    A layer stands for the first tensor that its module returns.
    """

    student: str
    teacher: str | None = None
    skippable: ClassVar[bool] = False
    """Whether the layer may be left out of a step, as stochastic depth does; it then counts for nothing."""

    @property
    def source(self) -> str:
        """The teacher's layer."""
        return self.student if self.teacher is None else self.teacher

    def projection(self, student: Tensor, teacher: Tensor) -> nn.Module:
        """What a student's feature goes through, and is trained with it.

        Args:
            student: a feature of the student's layer; its shape counts.
            teacher: one of the teacher's, for the same samples.

        Raises:
            RecipeError: the two cannot be compared.
        """
        if not (student.is_floating_point() and teacher.is_floating_point() and self.fits(student, teacher)):
            raise RecipeError(
                f"student layer {self.student!r} gives {_told(student)}, teacher layer {self.source!r}"
                f" {_told(teacher)}, which {type(self).__name__} cannot compare; name other layers"
            )
        return nn.Identity()

    def __call__(self, student: Tensor, teacher: Tensor, /) -> Tensor:
        """The weighted loss, a scalar, of features of the same samples."""
        raise NotImplementedError

    def fits(self, student: Tensor, teacher: Tensor) -> bool:
        """Whether the two can be compared."""
        same = student.ndim == teacher.ndim <= max(CONVOLUTIONS) and len(student) == len(teacher)
        return same and (student.ndim != 3 or student.shape[1] == teacher.shape[1])


@dataclass(frozen=True)
class Hint(FeatureTerm):
    """FitNets (Romero et al., 2015): the squared error of the features, as a share of their squares.

    A sample's error is divided by the squares of both features, so that a weight means the same for every layer and no
    sample, however faint, counts for more than others: 1 is the error of a student that gives zeros, and of one that
    has nothing to do with its teacher. No gradient flows into the divisor. Where the channels differ in number, a
    linear projection of the student's is learned with it: a 1x1 convolution, or a linear layer for features without
    space.

    Raises:
        RecipeError: the weight is negative.
    """

    _: KW_ONLY
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_weight("weight", self.weight)

    def projection(self, student: Tensor, teacher: Tensor) -> nn.Module:
        """A learned projection where the numbers of channels differ; drawn from PyTorch's generator."""
        same = super().projection(student, teacher)
        axis = 1 if student.ndim > 3 else -1
        own, given = student.shape[axis], teacher.shape[axis]
        if own == given:
            return same
        layer = nn.Linear(own, given) if axis == -1 else CONVOLUTIONS[student.ndim](own, given, 1)
        return layer.to(student.device, student.dtype)

    def __call__(self, student: Tensor, teacher: Tensor, /) -> Tensor:
        """The weight times the mean over the samples."""
        own, given = _same_space(student, teacher)
        whole = (_power(own) + _power(given)).detach().clamp_min(torch.finfo(given.dtype).tiny)
        return self.weight * (_power(own - given) / whole).mean()

    def fits(self, student: Tensor, teacher: Tensor) -> bool:
        """Whether the two can be compared."""
        return student.ndim > 1 and super().fits(student, teacher)


@dataclass(frozen=True)
class BlockHint(Hint):
    """A hint of a layer that nobody named: it has to fit place by place, and may be left out of a step."""

    skippable: ClassVar[bool] = True

    def fits(self, student: Tensor, teacher: Tensor) -> bool:
        """Whether the two differ only in their channels."""
        return student.shape[2:] == teacher.shape[2:] if student.ndim > 3 else super().fits(student, teacher)


@dataclass(frozen=True)
class AttentionTransfer(FeatureTerm):
    """Zagoruyko and Komodakis (2017): where in space, or at which tokens, the features are large.

    A sample's map is the sum of squares over the channels, divided by its length; the loss is the mean over the
    samples of the squared distance of the two maps, 0 to 2.

    Raises:
        RecipeError: the weight is negative.
    """

    _: KW_ONLY
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_weight("weight", self.weight)

    def __call__(self, student: Tensor, teacher: Tensor, /) -> Tensor:
        """The weight times the mean over the samples."""
        maps = _same_space(_energy(student), _energy(teacher))
        own, given = (functional.normalize(features.flatten(1), dim=1) for features in maps)
        return self.weight * (own - given).square().sum(1).mean()

    def fits(self, student: Tensor, teacher: Tensor) -> bool:
        """Whether the two can be compared."""
        return student.ndim > 2 and super().fits(student, teacher)


@dataclass(frozen=True)
class Relational(FeatureTerm):
    """RKD (Park et al., 2019): how the samples of a batch lie to one another; features may have any shapes.

    Distances are divided by their mean over the pairs; angles are cosines at each sample between two others. Each
    is compared by Huber's loss and averaged over the pairs, or triplets, of distinct samples of a batch. Several
    processes see the pairs of their own rows. Memory for angles grows with the third power of the rows.

    Raises:
        RecipeError: a weight is negative.
    """

    _: KW_ONLY
    distance_weight: float = 25.0
    angle_weight: float = 50.0

    def __post_init__(self) -> None:
        _check_weight("distance_weight", self.distance_weight)
        _check_weight("angle_weight", self.angle_weight)

    def __call__(self, student: Tensor, teacher: Tensor, /) -> Tensor:
        """The weighted sum of both losses; 0 for a single sample."""
        rows, total = len(student), student.new_zeros(())
        own, given = student.flatten(1), teacher.flatten(1)
        if self.distance_weight:
            loss = functional.smooth_l1_loss(_distances(own), _distances(given), reduction="sum")
            total = total + self.distance_weight * loss / max(1, rows * (rows - 1) // 2)
        if self.angle_weight:
            loss = functional.smooth_l1_loss(_cosines(own), _cosines(given), reduction="sum")
            total = total + self.angle_weight * loss / max(1, rows * (rows - 1) * (rows - 2))
        return total

    def fits(self, student: Tensor, teacher: Tensor) -> bool:
        """Whether the two can be compared."""
        return min(student.ndim, teacher.ndim) > 1 and len(student) == len(teacher)


def _power(feature: Tensor) -> Tensor:
    """The mean square of each sample, (rows,)."""
    return feature.flatten(1).square().mean(1)


def _energy(feature: Tensor) -> Tensor:
    """(rows, 1, *space), or (rows, tokens, 1)."""
    return feature.square().sum(1 if feature.ndim > 3 else -1, keepdim=True)


def _same_space(own: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    if own.ndim < 4 or own.shape[2:] == other.shape[2:]:
        return own, other
    size = [min(sides) for sides in zip(own.shape[2:], other.shape[2:], strict=True)]
    return _averaged(own, size), _averaged(other, size)


def _averaged(feature: Tensor, size: list[int]) -> Tensor:
    pool: Any = functional.adaptive_avg_pool2d if len(size) == 2 else functional.adaptive_avg_pool3d
    averaged: Tensor = pool(feature, size)
    return averaged


def _distances(points: Tensor) -> Tensor:
    """Distance of each pair of samples, divided by the mean distance."""
    distances = functional.pdist(points)
    mean = distances.sum() / max(1, len(distances))
    return distances / mean.clamp_min(torch.finfo(points.dtype).tiny)


def _cosines(points: Tensor) -> Tensor:
    """Cosines at (j, i, k) of the angle at sample j between i and k; 0 where two of them are in one place.

    By way of inner products, which need no difference vector for each pair.
    """
    centred = points - points.mean(0)
    gram = centred @ centred.T
    squares = gram.diagonal()
    dots = gram[None] - gram[:, :, None] - gram[:, None, :] + squares[:, None, None]
    lengths = dots.diagonal(dim1=1, dim2=2)
    apart = lengths > 16 * torch.finfo(points.dtype).eps * (squares[:, None] + squares[None])
    inverse = torch.where(apart, lengths, 1.0).rsqrt() * apart
    return dots * inverse[:, :, None] * inverse[:, None, :]


def _check_weight(name: str, weight: float) -> None:
    number(name, weight, lambda value: value >= 0, "give 0 or more")


def _told(feature: Tensor) -> str:
    kind = "" if feature.is_floating_point() else f" of {str(feature.dtype).removeprefix('torch.')}"
    return f"{tuple(feature.shape)}{kind}"
