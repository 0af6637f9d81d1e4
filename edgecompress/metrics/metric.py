"""Metrics: what decides how good a network is, from its outputs and the targets of the same samples.

A metric has torchmetrics' form, so that every class of that library is one: ``update(outputs, targets)`` for each
batch, ``compute()`` for the value of all, ``reset()`` to begin anew. A plain function ``(outputs, targets) -> float``
over a batch is one, too: its values are averaged by samples.

- ``outputs`` are the network's output; where there is more than one a tuple of them, in their order and with names
  (:mod:`edgecompress.metrics.outputs`); or what postprocessing makes of them
  (:mod:`edgecompress.metrics.postprocess`).
- ``targets`` are what the data give in addition to the inputs, in any form that :mod:`edgecompress.metrics.targets`
  can cut into samples.
- Arrays are NumPy's; for a metric that is an ``nn.Module``, as torchmetrics' are, tensors on the CPU.

A metric, or the function, may say of itself: ``unit``, a text such as ``"%"``; ``higher_is_better``; and ``of_classes``
where outputs are scores of classes and targets class indices. Such a metric is given the first output with its classes
along axis 1, and targets that are classes of it, or -100 for what does not count (``ignores`` lists other targets that
do not); labels that are shifted by one, or that guessing would hit as often, are told.

Where it is a :class:`~edgecompress.metrics.sums.Redrawn`, as a function of sums over the samples is
(:class:`~edgecompress.metrics.sums.OfSums`), a drop of it is told with its interval.

A metric may have ``per_class()``, the value of each class: a dict from the class to a number, or an array of them
(:mod:`edgecompress.metrics.per_class`). The report then tells which class lost most.

Each file of ``built_in/`` has one, ``make``, under the name of the file. Other packages register theirs as entry points
of ``edgecompress.metrics``: a class, a function without arguments that gives the object, or a function of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Protocol

from edgecompress.metrics.postprocess import Postprocess

DEFAULT = "top1"
"""The metric of a recipe that names none."""
PERCENT = "%"


class Metric(Protocol):
    """What is added up over batches."""

    def update(self, outputs: Any, targets: Any, /) -> Any:
        """Add a batch."""

    def compute(self) -> Any:
        """The value over all batches since the last reset: one finite number."""

    def reset(self) -> Any:
        """Forget all batches."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A metric that is ready to be made for each network that is measured.

    Attributes:
        name: as the recipe has it.
        make: gives a new metric.
        unit: of its value; empty where it has none.
        higher_is_better: whether more is better; None where nothing says so, which counts as more.
        of_classes: whether it reads scores of classes and class indices.
        ignores: targets that do not count, in addition to -100, where they are no classes of the network.
        postprocess: what becomes of the outputs before they are measured; None where they are measured as they are.
    """

    name: str
    make: Callable[[], Metric]
    unit: str = ""
    higher_is_better: bool | None = None
    of_classes: bool = False
    ignores: tuple[int, ...] = ()
    postprocess: Postprocess | None = None

    @property
    def of_raw_scores(self) -> bool:
        """Whether it reads the first output as scores of classes, just as the network gives it."""
        return self.of_classes and self.postprocess is None

    @property
    def is_top1(self) -> bool:
        """Whether it is top-1 accuracy of the outputs as they are."""
        return self.name == DEFAULT and self.postprocess is None

    @property
    def code(self) -> tuple[str, ...]:
        """What tells it from another one: its name, and that of the postprocessing."""
        return (self.name, *(() if self.postprocess is None else (self.postprocess.name,)))

    @property
    def wants_more(self) -> bool:
        """Whether a higher value is taken for a better one."""
        return self.higher_is_better is not False

    @property
    def in_words(self) -> str:
        """What people call it: ``accuracy``, or its name."""
        return "accuracy" if self.name == DEFAULT else repr(self.name)

    @property
    def in_percent(self) -> bool:
        """Whether a difference of two values is one of percentage points."""
        return self.unit == PERCENT

    @property
    def drop_unit(self) -> str:
        """The unit of a difference of two values."""
        return "points" if self.in_percent else self.unit

    def drop(self, before: float | None, after: float | None) -> float | None:
        """By how much the second value is worse than the first; None where one of them is missing.

        >>> named_measure("top1").drop(90.0, 88.5), named_measure("mae").drop(0.5, 0.75)
        (1.5, 0.25)
        """
        if before is None or after is None:
            return None
        return before - after if self.wants_more else after - before

    def kept(self, before: float | None, after: float | None) -> float | None:
        """The share of the first value that the second one is; of an error, the first over the second.

        None where a value is missing, or the first has no share: below zero, or zero where more is better. A second
        one below zero, where more is better, keeps less than nothing.

        >>> named_measure("top1").kept(80.0, 76.0), named_measure("mae").kept(0.5, 0.625)
        (0.95, 0.8)
        >>> named_measure("cosine").kept(0.8, -0.2)
        -0.25
        """
        if before is None or after is None:
            return None
        if self.wants_more:
            return after / before if before > 0 else None
        if min(before, after) < 0:
            return None
        return before / after if after else 1.0


@cache
def named_measure(name: str) -> Measure:
    """One of the package's own metrics.

    >>> named_measure("rmse").higher_is_better
    False
    """
    make = import_module(f"edgecompress.metrics.built_in.{name}").make
    return Measure(name=name, make=make, **traits(make))


TRAITS: dict[str, Callable[[Any], Any]] = {
    "unit": str,
    "higher_is_better": bool,
    "of_classes": bool,
    "ignores": lambda said: tuple(int(target) for target in (said if isinstance(said, Iterable) else (said,))),
}
"""What a metric may say of itself, and how it is read."""


def traits(source: Any) -> dict[str, Any]:
    """What a metric says of itself, as :class:`Measure` takes it; what it does not say is left out."""
    said = {key: getattr(source, key, None) for key in TRAITS}
    return {key: TRAITS[key](value) for key, value in said.items() if value is not None}
