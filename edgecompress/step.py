"""What a step hands to the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from edgecompress.agreement import Agreement

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
