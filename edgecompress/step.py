"""What a step hands to the next one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import onnx_ir as ir

from edgecompress.metrics.agreement import Agreement

ModelT_co = TypeVar("ModelT_co", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Something that was left as it was, and why."""

    name: str
    kind: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class StepResult(Generic[ModelT_co]):
    """A new model, and what was done to make it.

    ``changes`` are sentences for the report; ``refusals`` name what was left alone; ``warnings`` are
    faults that the run survives; ``metrics`` are figures by name, the unit in the name.
    """

    model: ModelT_co
    changes: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    warnings: tuple[str, ...] = ()
    metrics: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Done:
    """A step that was carried out: its result, its agreement with what came in, and its time.

    A ``lossless`` step may not change what the network computes, beyond ``export.min_sqnr_db``.
    """

    name: str
    result: StepResult[Any]
    agreement: Agreement
    seconds: float
    lossless: bool


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What the artifact would be, were a step the last one: the bytes of its ONNX file."""

    name: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step's name and function; ``min_sqnr_db`` is the agreement below which the run stops.

    A ``lossless`` step has its floor from ``export.min_sqnr_db``; another one may have a floor, too.
    """

    name: str
    run: Callable[[Any], StepResult[Any]]
    min_sqnr_db: float | None = None
    lossless: bool = True


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """The steps that were carried out, and the float model before anything touched it.

    ``stages`` are the models in between that could ship, each under the name of the last step that made it; the
    first is the original, the last the artifact. ``class_axis`` is that of the scores, as
    :func:`~edgecompress.axes.classes.settle_streams` settled it.
    """

    original: ir.Model
    done: tuple[Done, ...]
    stages: tuple[tuple[str, ir.Model], ...]
    class_axis: int | None

    @property
    def artifact(self) -> ir.Model:
        """The model after the last step."""
        model = self.done[-1].result.model
        assert isinstance(model, ir.Model)
        return model


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One step by name, and what it will do, in words."""

    name: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The steps in order for one model and one target."""

    target: str
    strategy: str
    reason: str
    steps: tuple[PlannedStep, ...]
    warnings: tuple[str, ...] = ()
