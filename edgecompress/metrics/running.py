"""A metric as it runs over the batches of one network: what it is given, and what it may answer."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from edgecompress.arrays import Array
from edgecompress.errors import USER_CODE_FAILS, DataError, InputError, RecipeError, first_line
from edgecompress.metrics.accuracy import IGNORED_LABEL, class_axis, no_class_or_ignored
from edgecompress.metrics.described import described
from edgecompress.metrics.metric import Measure
from edgecompress.metrics.outputs import Outputs, given_outputs
from edgecompress.metrics.per_class import given_by_class, mean_of_classes, named_classes
from edgecompress.metrics.sums import Drawable, OfSums, Redrawn, Sums, share_of
from edgecompress.metrics.targets import is_array, is_numbers, samples_of


class Averaged(OfSums):
    """The values of a function of a batch, averaged by samples."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self._function = function

    def update(self, outputs: Any, targets: Any, /) -> None:
        """Add a batch; of what the function says of one, no part is known."""
        samples = samples_of(targets)
        self._add([samples * _one_number(self._function(outputs, targets))], [samples])

    def _values(self, sums: Sums) -> Sums:
        return share_of(sums[:, 0], sums[:, 1])


class Running:
    """The metric of one network, batch by batch."""

    def __init__(self, measure: Measure) -> None:
        self._measure, self._metric = measure, measure.make()
        # Each process has all batches: metrics of torchmetrics would wait for others.
        if hasattr(self._metric, "sync_on_compute"):
            self._metric.sync_on_compute = False
        self._metric.reset()
        self._counted = 0

    @property
    def _takes_tensors(self) -> bool:
        """A module is given tensors, everything else arrays."""
        from torch import nn

        return isinstance(self._metric, nn.Module)

    def update(
        self,
        outputs: Sequence[Array],
        targets: Any,
        where: str,
        axis: int | None = None,
        names: Sequence[str] = (),
    ) -> tuple[Any, Any]:
        """Add a batch.

        Args:
            outputs: of the network, in their order.
            targets: of the same samples, in any form; for metrics of classes an array, its first dimension the samples.
            where: the beginning of a message.
            axis: of the classes in the first output, as :func:`~edgecompress.metrics.accuracy.class_axis` takes it; for
                metrics of classes.

            names: of the outputs, where there are several.

        Returns:
            What the metric was given: outputs, postprocessed, and targets.

        Raises:
            DataError: the targets do not fit the outputs.
            RecipeError: the metric or the postprocessing fails, or gives something else than it should.
        """
        given = given_outputs(outputs, names)
        if self._measure.postprocess is not None:
            given = self._measure.postprocess(given, samples_of(targets), where)
        if self._measure.of_classes:
            scores = self._scores(given)
            given, targets = _of_classes(scores, targets, self._measure.ignores, where, axis)
            self._counted += int((targets != IGNORED_LABEL).sum())
        else:
            self._counted += targets.size if is_numbers(targets) else samples_of(targets)
        name = self._measure.name
        try:
            # What a metric does to its targets spoils nothing for the next network.
            own = targets if self._measure.of_classes else copy.deepcopy(targets)
            self._metric.update(*(map(_tensors, (given, own)) if self._takes_tensors else (given, own)))
        except NotOneNumberError as error:
            raise self._not_one_number(str(error), where) from None
        except InputError as error:
            raise DataError(f"{where}: {error}") from error
        except USER_CODE_FAILS as error:
            raise RecipeError(
                f"metric {name!r} raised {type(error).__name__} on {where}: {first_line(error)}; repair it: it is given"
                f" {'tensors' if self._takes_tensors else 'NumPy arrays'}, outputs {described(given)}, and targets"
                f" {described(targets)}"
            ) from error
        return given, targets

    def _scores(self, given: Any) -> Array:
        """The scores of classes that a metric of classes reads: the first of several arrays."""
        first = given[0] if isinstance(given, tuple) and given else given
        if not is_array(first):
            raise RecipeError(
                f"metric {self._measure.name!r} reads scores of classes, and postprocess gives {described(given)};"
                " return an array of scores, or name a metric that reads it"
            )
        return np.asarray(first)

    def require_one_number(self) -> None:
        """Refuse a metric that gives something else than a number, or than numbers of classes where it gives these.

        What it cannot tell of few batches is no fault.

        Raises:
            RecipeError: it does.
        """
        try:
            value, classes = self._computed(), given_by_class(self._metric)
        except USER_CODE_FAILS:
            return
        if not _is_number(value):
            raise self._not_one_number(described(value), "all batches")
        self._named(classes)

    @property
    def value(self) -> float | None:
        """The value over all batches; None where no target counted.

        Raises:
            RecipeError: the metric fails, or gives something else than a finite number.
        """
        if not self._counted:
            return None
        try:
            return _one_number(self._computed())
        except NotOneNumberError as error:
            raise self._not_one_number(str(error), "all batches") from None
        except USER_CODE_FAILS as error:
            raise RecipeError(
                f"compute() of metric {self._measure.name!r} raised {type(error).__name__}: {first_line(error)};"
                " repair it"
            ) from error

    @property
    def drawable(self) -> Drawable | None:
        """What the value was computed from, where samples of it can be drawn; None where it cannot, or has no value."""
        return self._metric.drawable() if self._counted and isinstance(self._metric, Redrawn) else None

    @property
    def per_class(self) -> dict[str, float]:
        """The value of each class by its name; empty where the metric has none, or no target counted.

        Raises:
            RecipeError: ``per_class()`` of the metric fails, or gives something else than a number for each class.
        """
        if not self._counted:
            return {}
        try:
            given = given_by_class(self._metric)
        except USER_CODE_FAILS as error:
            raise RecipeError(
                f"per_class() of metric {self._measure.name!r} raised {type(error).__name__}: {first_line(error)};"
                " repair it"
            ) from error
        return self._named(given)

    def _named(self, given: Any) -> dict[str, float]:
        found = named_classes(given)
        if found is None:
            raise RecipeError(
                f"per_class() of metric {self._measure.name!r} gives {described(given)}; let it give a dict from"
                " classes to finite numbers, or an array with one for each class"
            )
        return found

    def _computed(self) -> Any:
        computed = self._metric.compute()
        if isinstance(computed, Mapping):  # several values, as those of boxes and collections of torchmetrics
            computed = next(iter(computed.values()), None)
        return mean_of_classes(self._metric, computed)

    def _not_one_number(self, given: str, where: str) -> RecipeError:
        return RecipeError(f"metric {self._measure.name!r} gives {given} for {where}; let it give one finite number")


class NotOneNumberError(ValueError):
    """What was given in place of one, in a few words."""


def _one_number(value: Any) -> float:
    if not _is_number(value):
        raise NotOneNumberError(described(value))
    if not math.isfinite(value):
        raise NotOneNumberError(str(float(value)))
    return float(value)


def _is_number(value: Any) -> bool:
    """Whether it is a number of Python's, or an array or a tensor of no dimension."""
    scalar = getattr(value, "shape", None) == () and hasattr(value, "item")
    return isinstance(value.item() if scalar else value, Real)


def _of_classes(
    scores: Array, labels: Any, ignores: Sequence[int], where: str, axis: int | None
) -> tuple[Array, Array]:
    """Scores with their classes along axis 1, and labels that are one of them, or -100."""
    if not is_numbers(labels):
        raise DataError(f"{where}: targets are {described(labels)}; give class indices, an array of integers")
    axis = class_axis(scores.shape, labels.shape, where, axis)
    classes, labels = scores.shape[axis], labels.astype(np.int64)
    outside = (labels < 0) | (labels >= classes)
    wrong = outside & ~np.isin(labels, (IGNORED_LABEL, *ignores))
    if wrong.any():
        raise DataError(f"{where}: {no_class_or_ignored(int(labels[wrong][0]), classes)}")
    return np.moveaxis(scores, axis, 1), np.where(outside, IGNORED_LABEL, labels)


def _tensors(value: Any) -> Any:
    """The same with a tensor for each array of numbers in it."""
    from torch import from_numpy

    if is_numbers(value):
        return from_numpy(np.require(value, requirements=["C", "W"]))
    if isinstance(value, Mapping):
        return {name: _tensors(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = list(map(_tensors, value))
        if isinstance(value, Outputs):
            return Outputs(parts, value.names)
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value
