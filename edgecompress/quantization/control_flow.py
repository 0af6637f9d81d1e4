"""Control flow: the bodies of If, Loop and Scan are quantized as graphs of their own, each on what reaches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.data.batches import Batches
from edgecompress.exporters.canonicalize import prepare_for_integers
from edgecompress.quantization.bodies import Body, bodies_of, declared, put_back
from edgecompress.quantization.body_runs import runs_of
from edgecompress.quantization.fallback import Accept
from edgecompress.quantization.kept_float import BODY_BY_BUDGET, UNSEEN
from edgecompress.quantization.lowering import storing
from edgecompress.recipe.tables import Quantization
from edgecompress.step import Refusal, StepResult

Quantize = Callable[[ir.Model, Batches], StepResult[ir.Model]]
"""Makes a graph of its own INT8, on its inputs."""


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """A body, and the forms that it may have: the smallest and fastest first, the most accurate last."""

    body: Body
    forms: tuple[StepResult[ir.Model], ...]

    def form(self, number: int) -> StepResult[ir.Model]:
        """The form of that number, or the last that there is; what is said of it names the body."""
        made = self.forms[min(number, len(self.forms) - 1)]
        told = tuple(f"{self.body.name}: {change}" for change in made.changes)
        return replace(made, changes=told, warnings=tuple(f"{self.body.name}: {each}" for each in made.warnings))


def rewrite_bodies(
    model: ir.Model, batches: Batches, recipe: Quantization, quantize: Quantize
) -> tuple[Rewritten, ...]:
    """What may become of each body of a model.

    Args:
        model: float, its nodes named.
        batches: its inputs.
        recipe: names what stays float.
        quantize: makes a body INT8 that runs on these inputs. What never runs on them is stored as INT8.
    """
    return tuple(
        Rewritten(body=body, forms=tuple(_forms(model, body, batches, recipe, quantize))) for body in bodies_of(model)
    )


def _forms(
    model: ir.Model, body: Body, batches: Batches, recipe: Quantization, quantize: Quantize
) -> Iterator[StepResult[ir.Model]]:
    if body.fault is not None:
        yield StepResult(model=body.model, refusals=(Refusal(name=body.name, kind="body", reason=body.fault),))
        return
    runs = runs_of(model, body, batches)
    first = next(iter(runs), None)
    if first is None:
        yield _stored(body.model, recipe, UNSEEN)
    else:
        prepared = prepare_for_integers(declared(body.model, first.inputs)).model
        yield quantize(prepared, runs)
        yield _stored(prepared, recipe, BODY_BY_BUDGET)
    yield StepResult(model=body.model)


def _stored(model: ir.Model, recipe: Quantization, reason: str) -> StepResult[ir.Model]:
    """A body whose weights are INT8 in the file, and that computes in floats."""
    lowering = storing(model, recipe, reason)
    written, refusals = lowering.write(), list(lowering.placement.refusals)
    for body in bodies_of(model):
        inner = _stored(body.model, recipe, reason)
        put_back(written, body, inner.model)
        refusals += inner.refusals
    passes.RemoveUnusedNodesPass()(written)
    return StepResult(model=written, refusals=tuple(refusals))


def with_bodies(
    result: StepResult[ir.Model], bodies: Sequence[Rewritten], accept: Accept | None = None
) -> StepResult[ir.Model]:
    """What was made of a graph, with what was made of its bodies in it.

    Args:
        result: of the graph around them.
        bodies: what may become of each.
        accept: the accuracy budget. Bodies give way to it where the graph around them is within it.
    """
    if not bodies:
        return result
    made = _joined(result, bodies, 0)
    if accept is None or accept(made.model) or not accept(result.model):
        return made
    stored = _joined(result, bodies, 1, "compute in floats")
    return stored if accept(stored.model) else _joined(result, bodies, 2, "stay float")


def _joined(
    result: StepResult[ir.Model], bodies: Sequence[Rewritten], number: int, told: str | None = None
) -> StepResult[ir.Model]:
    """The graph with all bodies in the form of that number; ``told`` says what they do for the accuracy budget."""
    model, chosen = result.model.clone(), [body.form(number) for body in bodies]
    for body, made in zip(bodies, chosen, strict=True):
        put_back(model, body.body, made.model)
    passes.RemoveUnusedNodesPass()(model)
    changes = [change for made in chosen for change in made.changes]
    changes += [] if told is None else [f"bodies of control flow {told} for the accuracy budget"]
    return replace(
        result,
        model=model,
        changes=(*result.changes, *changes),
        refusals=(*result.refusals, *(refusal for made in chosen for refusal in made.refusals)),
        warnings=(*result.warnings, *(warning for made in chosen for warning in made.warnings)),
    )
