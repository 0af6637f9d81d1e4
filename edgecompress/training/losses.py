"""Losses: what training minimizes, a mean over the samples of a batch.

A loss is a function ``(outputs, targets) -> scalar tensor``, an object that is called so, or its class; the package's
own are files of ``built_in/``, under the name by which recipes call them. Other packages register theirs as entry
points of ``edgecompress.losses``.

- ``outputs`` are what the network's ``forward`` returns, as in a training loop of one's own.
- ``targets`` are what the data give in addition to the inputs, in any form that :mod:`edgecompress.metrics.targets` can
  cut into samples: tensors of int64 or float32 where they are one array of numbers, else as they are, tensors in them
  on the device of the network.

A function or an object with ``of_classes = True`` is given scores and class indices (:mod:`.readings`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from edgecompress.errors import USER_CODE_FAILS, InputError, RecipeError, first_line
from edgecompress.metrics.described import described
from edgecompress.training.readings import NUMBERS, READINGS, is_counted

BY_TASK = {"classification": "cross_entropy", "regression": "mse"}
"""The loss where a recipe names none."""


class Loss(Protocol):
    """What the training loop minimizes; most are a :class:`TargetLoss`, and others look at the inputs, too."""

    def __call__(self, outputs: Any, inputs: Mapping[str, Tensor], labels: Any, /) -> Tensor:
        """A scalar: the mean over the samples of the batch.

        Labels are a tensor, or targets of another form as the data give them, or None.
        """


@dataclass(frozen=True, kw_only=True)
class TargetLoss:
    """A loss of outputs and targets, as a recipe names it.

    Attributes:
        name: as the recipe has it.
        function: from outputs and targets to a scalar; a module is taken to the outputs' device.
        reading: what it is given, a key of :data:`~edgecompress.training.readings.READINGS`; None for both as they are.
        class_axis: of the scores, as :func:`edgecompress.metrics.accuracy.class_axis` takes it.
        ignore_index: a label that does not count, in addition to -100.
    """

    name: str
    function: Callable[[Any, Any], Any]
    reading: str | None = None
    class_axis: int | None = None
    ignore_index: int | None = None

    def __call__(self, outputs: Any, _inputs: Mapping[str, Tensor], targets: Any, /) -> Tensor:
        """The mean over what counts, a scalar; 0 where nothing does, and then the function is not called.

        Raises:
            DataError: targets are missing, or do not fit.
            RecipeError: the function fails, or gives no single number, or one that no gradient flows from.
        """
        given, wanted = outputs, targets
        if self.reading is not None:
            given, wanted = READINGS[self.reading](outputs, targets, self.class_axis, self.ignore_index)
        if self._is_hidden(wanted):
            return _nothing(outputs)
        value = self._number(given, wanted)
        if value.requires_grad or not _learns(outputs):
            return value
        if float(value.detach()):
            raise RecipeError(
                f"loss {self.name!r} has no gradient; compute it from the outputs with PyTorch, without detach(),"
                " item() or NumPy"
            )
        return _nothing(outputs)  # the user's own zero for a batch that has nothing to learn

    def _is_hidden(self, wanted: Any) -> bool:
        """Whether nothing of the targets counts; a mean over nothing would be NaN."""
        if not isinstance(wanted, Tensor):
            return False
        if self.reading == NUMBERS:
            return not wanted.numel()
        hides = wanted.numel() > 0 and not wanted.is_floating_point()
        return hides and not bool(is_counted(wanted, self.ignore_index).any())

    def _number(self, given: Any, wanted: Any) -> Tensor:
        if isinstance(self.function, nn.Module):
            device = next((leaf.device for leaf in pytree.tree_leaves(given) if isinstance(leaf, Tensor)), None)
            self.function.to(device)
        try:
            value = self.function(given, wanted)
        except InputError:
            raise
        except USER_CODE_FAILS as error:
            raise RecipeError(
                f"loss {self.name!r} raised {type(error).__name__}: {first_line(error)}; repair it: it is given outputs"
                f" {described(given)}, and targets {described(wanted)}"
            ) from error
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise RecipeError(
                f"loss {self.name!r} gives {described(value)}; return a tensor of one number, the mean over the batch"
            )
        return value.reshape(())


def named_loss(name: str) -> TargetLoss:
    """One of the package's own losses.

    >>> named_loss("mse").reading
    'of_numbers'
    """
    function = import_module(f"edgecompress.training.built_in.{name}").loss
    return TargetLoss(name=name, function=function, reading=reading_of(function))


def reading_of(function: Any) -> str | None:
    """What a loss says that it is given; None for outputs and targets as they are."""
    return next((trait for trait in READINGS if getattr(function, trait, False)), None)


cross_entropy = named_loss("cross_entropy")
"""Softmax cross entropy of the first output against class indices; -100 does not count."""
mean_squared_error = named_loss("mse")
"""The mean square of the difference between the first output and labels of the same shape."""


def classification_loss(
    scores: Tensor, labels: Any, axis: int | None = None, ignore_index: int | None = None
) -> Tensor:
    """Cross entropy, the classes along the axis that the labels lack, or along ``axis``; -100 does not count.

    Raises:
        DataError: the shapes do not fit, or a label is no class of the model.
    """
    return replace(cross_entropy, class_axis=axis, ignore_index=ignore_index)(scores, {}, labels)


def _learns(outputs: Any) -> bool:
    """Whether gradients are taken, of some output."""
    leaves = pytree.tree_leaves(outputs)
    return torch.is_grad_enabled() and any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in leaves)


def _nothing(outputs: Any) -> Tensor:
    """Zero, with a gradient of zero for every output, whatever values these hold."""
    leaves = (leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.is_floating_point())
    return sum((leaf.flatten()[:0].sum() for leaf in leaves), start=torch.zeros(()))
