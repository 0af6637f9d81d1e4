"""What a step passes on to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
class PlannedStep:
    """One step by name, and what it will do, in words."""

    name: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Step(PlannedStep):
    """A step that makes a network of another.

    Attributes:
        run: from the network that came in and the context of the run to what is handed on.
        min_sqnr_db: agreement, in dB, with what came in, below which the run stops. A step without it changes what the
            network computes, and works on the PyTorch module; all others work on the way to ONNX, and after it.
        lossless: whether the step keeps what the network computes, so that its floor is ``export.min_sqnr_db``.
        ships: whether what it makes could be the artifact.
        remedy: what to do about a step that loses something, where it falls below its floor.
        shared: whether its result depends on nothing but the network and the data that the run began with, the recipe
            without the table ``quantization``, and the steps before, so that other runs may take it over.
    """

    run: Callable[[Any, Any], StepResult[Any]]
    min_sqnr_db: float | None = None
    lossless: bool = True
    ships: bool = False
    remedy: str = ""
    shared: bool = False

    @property
    def on_module(self) -> bool:
        """Whether the step works on the PyTorch module, before it is exported."""
        return self.min_sqnr_db is None


@dataclass(frozen=True, kw_only=True)
class ArtifactStep(PlannedStep):
    """A step that looks at the artifact: from what was found so far and the context of the run to what is known then.

    The fold is in :mod:`edgecompress.pipeline.findings`.
    """

    run: Callable[[Any, Any], Any]


@dataclass(frozen=True, kw_only=True)
class Done:
    """A step that was carried out: its result, its agreement with what came in, and its time in seconds."""

    step: Step
    result: StepResult[Any]
    agreement: Agreement
    seconds: float

    @property
    def name(self) -> str:
        """The name of the step."""
        return self.step.name

    @property
    def lossless(self) -> bool:
        """Whether the step had to keep what the network computes."""
        return self.step.lossless and self.step.min_sqnr_db is not None


def first_graph(done: Iterable[Done]) -> ir.Model:
    """The first ONNX model that a step made: the exported one, unless the user gave ONNX."""
    models = (step.result.model for step in done)
    return next(model for model in models if isinstance(model, ir.Model))


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What the artifact would be, were a step the last one: the bytes of its ONNX file."""

    name: str
    content: bytes


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
    def rounded(self) -> tuple[ir.Model, Done] | None:
        """The float model whose values became integers, and the last step of that; None where the artifact is float."""
        last = self.done[-1]
        first = next((index for index, done in enumerate(self.done) if not done.step.lossless), 0)
        return None if last.step.lossless else (self.done[first - 1].result.model, last)

    @property
    def artifact(self) -> ir.Model:
        """The model after the last step."""
        model = self.done[-1].result.model
        assert isinstance(model, ir.Model)
        return model


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The steps in order for one model and one target: printed, they are the plan; folded, the run."""

    target: str
    strategy: str
    reason: str
    steps: tuple[PlannedStep, ...]
    warnings: tuple[str, ...] = ()

    @property
    def conversion(self) -> tuple[Step, ...]:
        """The steps from the network to the artifact."""
        return tuple(step for step in self.steps if isinstance(step, Step))

    @property
    def artifact_steps(self) -> tuple[ArtifactStep, ...]:
        """The steps that look at the artifact."""
        return tuple(step for step in self.steps if isinstance(step, ArtifactStep))
