"""Runs of a body: what reaches it, each time that its operator runs it, on given data.

ONNX Runtime shows no value that is inside of a body. So the model around it is run for what its operator reads, and
here it is decided what the operator does with that: which branch it takes, and how often it goes round.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.arrays import SHARED, Array, Inputs
from edgecompress.data.batches import Batch, Batches, InputNames
from edgecompress.exporters.graph import constant
from edgecompress.quantization.bodies import LOOP_CONTROLS, Body, declared
from edgecompress.runtime import ALL_CORES, network_rows, open_session, run_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Runs = Iterator[dict[str, Array]]
"""The inputs of a body, by name, run by run."""
Round = Callable[[Inputs], list[Array]]
"""Runs a body: its inputs by name, and its outputs in order."""


@dataclass(frozen=True, kw_only=True)
class BodyRuns(Batches):
    """The runs of a body as batches of one sample each: what is in a body knows no samples.

    There may be none. Nothing is checked, since a network has made it.
    """

    def __iter__(self) -> Iterator[Batch]:
        for inputs in self.source():
            yield Batch(inputs=inputs, axes=self.axes)


def runs_of(model: ir.Model, body: Body, batches: Batches) -> BodyRuns:
    """What reaches a body on the given data; the model runs anew at each reading.

    Args:
        model: that the body was taken out of.
        body: whose runs are read.
        batches: inputs of the model; it takes as many samples at a time as it will be given.
    """
    owner = next(node for node in model.graph if node.name == body.owner)
    names = tuple(str(value.name) for value in body.model.graph.inputs)

    around, round_of = _Around(model, owner, body), _rounds(body.model)

    rows = network_rows(model, batches.axes) or 1

    def read() -> Runs:
        for values in around.read(batches, rows):
            yield from _RUNS[owner.op_type](owner, body, values, round_of)

    return BodyRuns(
        role=batches.role,
        source=read,
        inputs=InputNames(names=names, required=len(names)),
        axes=dict.fromkeys(names, SHARED),
    )


class _Around:
    """The model around a body, as far as the operator and the body read it."""

    def __init__(self, model: ir.Model, owner: ir.Node, body: Body) -> None:
        watched = model.clone()
        values = {str(value.name): value for value in watched.graph.inputs}
        values |= {str(output.name): output for node in watched.graph for output in node.outputs}
        values |= watched.graph.initializers
        read = [str(value.name) for value in owner.inputs if value is not None] + list(body.captured)
        arrays = {name: constant(values[name]) for name in dict.fromkeys(read)}
        self._constants = {name: array for name, array in arrays.items() if array is not None}
        computed = [name for name in arrays if values[name].producer() is not None]
        self._computed = [name for name in computed if name not in self._constants]
        watched.graph.outputs.clear()
        watched.graph.outputs.extend(values[name] for name in self._computed)
        passes.RemoveUnusedNodesPass()(watched)
        self._session = open_session(watched, ALL_CORES, background=True) if self._computed else None

    def read(self, batches: Batches, rows: int) -> Iterator[dict[str, Array]]:
        """What they read, by name, for so many samples at a time."""
        for batch in batches:
            for start in range(0, batch.rows, rows):
                inputs = batch.slice(start, start + rows).inputs
                outputs = [] if self._session is None else run_session(self._session, inputs)
                yield {**self._constants, **inputs, **dict(zip(self._computed, outputs, strict=True))}


def _rounds(model: ir.Model) -> Round:
    """Runs a body by itself; it is opened with what is known of its inputs when it first runs."""
    opened: list[InferenceSession] = []

    def run(inputs: Inputs) -> list[Array]:
        if not opened:
            opened.append(open_session(declared(model, inputs), ALL_CORES, background=True))
        return run_session(opened[0], inputs)

    return run


def _branch(owner: ir.Node, body: Body, values: Inputs, _round_of: Round) -> Runs:
    """One run where the condition chooses this branch."""
    (condition,) = _given(owner, values)
    assert condition is not None
    if bool(condition.item()) is (body.attribute == "then_branch"):
        yield _named(body, [], values)


def _loop(owner: ir.Node, body: Body, values: Inputs, round_of: Round) -> Runs:
    """A run for each time round: the number of it, the condition, and what the last time handed on."""
    trips, condition, *states = _given(owner, values)
    going = condition is None or bool(condition.item())
    ranks = [len(value.shape or ()) for value in body.model.graph.inputs[:LOOP_CONTROLS]]
    for number in itertools.count() if trips is None else range(int(trips.item())):
        if not going:
            return
        control = [np.full((1,) * rank, each) for rank, each in zip(ranks, (number, True), strict=True)]
        inputs = _named(body, [*control, *states], values)
        yield inputs
        outputs = round_of(inputs)
        states = [*outputs[1 : 1 + len(states)]]
        going = bool(outputs[0].item())


def _scan(owner: ir.Node, body: Body, values: Inputs, round_of: Round) -> Runs:
    """A run for each slice of what is scanned, and what the last one handed on."""
    scanned = owner.attributes.get_int("num_scan_inputs", 0)
    given = _given(owner, values)
    states: Sequence[Array | None] = given[: len(given) - scanned]
    axes = owner.attributes.get_ints("scan_input_axes", [0] * scanned)
    backwards = owner.attributes.get_ints("scan_input_directions", [0] * scanned)
    parts = [
        np.moveaxis(array, axis, 0)[:: -1 if turned else 1]
        for array, axis, turned in zip(given[len(states) :], axes, backwards, strict=True)
        if array is not None
    ]
    for slices in zip(*parts, strict=True):
        inputs = _named(body, [*states, *slices], values)
        yield inputs
        states = round_of(inputs)[: len(states)]


_RUNS = {"If": _branch, "Loop": _loop, "Scan": _scan}


def _given(owner: ir.Node, values: Inputs) -> list[Array | None]:
    return [None if value is None else values[str(value.name)] for value in owner.inputs]


def _named(body: Body, given: Sequence[Array | None], values: Inputs) -> dict[str, Array]:
    """The inputs of a body: what its operator hands it, and what it reads from around it."""
    names = [str(value.name) for value in body.model.graph.inputs[: body.given]]
    handed = {name: array for name, array in zip(names, given, strict=True) if array is not None}
    return handed | {name: values[name] for name in body.captured}
