"""Incremental run: a graph run piece by piece over a few samples, so that a layer can change before the next runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import onnx_ir as ir

from edgecompress.arrays import Array, Inputs
from edgecompress.runtime import ALL_CORES, open_session, run_session

REPEATED = ("DequantizeLinear", "SequenceConstruct", "SequenceErase", "SequenceInsert", "SplitToSequence")
"""Operators that run anew for each reader, so that their outputs are not held: ONNX Runtime fuses the first with what
reads it, and the others write no tensors."""


class IncrementalRun:
    """State of a model that runs in pieces: the values that are computed and still to be read, for each run of samples.

    What lies ahead may be changed between two calls of :meth:`to`; what lies behind is not run again.
    """

    def __init__(self, model: ir.Model, runs: Sequence[Inputs]) -> None:
        self._model, self._behind = model, set[ir.Node]()
        given = {str(value.name) for value in model.graph.inputs}
        self._held = [{name: array for name, array in run.items() if name in given} for run in runs]

    def to(self, value: ir.Value) -> list[Array]:
        """A value of the model's graph for each run; it may be asked for until the run goes on."""
        name = str(value.name)
        if name not in self._held[0]:
            self._go(value)
        return [held[name] for held in self._held]

    def _go(self, value: ir.Value) -> None:
        piece = self._before(value)
        self._behind |= {node for node in piece if node.op_type not in REPEATED}
        written = dict.fromkeys(chain([value], *(node.outputs for node in piece if node in self._behind)))
        wanted = [output for output in written if output is value or self._is_read_ahead(output)]
        values = ir.convenience.create_value_mapping(self._model.graph, include_subgraphs=False)
        session = open_session(self._extract(values, wanted), ALL_CORES, background=True)
        names = [str(output.name) for output in wanted]
        kept = [name for name in self._held[0] if self._is_read_ahead(values[name])]
        for number, held in enumerate(self._held):  # one by one, so that each gives back what nobody reads any more
            made = dict(zip(names, run_session(session, held), strict=True))
            self._held[number] = {name: held[name] for name in kept} | made

    def _before(self, value: ir.Value) -> list[ir.Node]:
        """The nodes between what is held and a value."""
        found: dict[ir.Node, None] = {}
        waiting = [value]
        while waiting:
            current = waiting.pop()
            node = current.producer()
            if node is not None and node not in found and current.name not in self._held[0]:
                found[node] = None
                waiting.extend(source for source in node.inputs if source is not None)
        return list(found)

    def _is_read_ahead(self, value: ir.Value) -> bool:
        """Whether a node that has not run yet reads a value, itself or as the floats that it stands for."""
        for reader, _ in value.uses():
            if reader.op_type in REPEATED:
                if any(map(self._is_read_ahead, reader.outputs)):
                    return True
            elif reader not in self._behind:
                return True
        return False

    def _extract(self, values: Mapping[str, ir.Value], wanted: Sequence[ir.Value]) -> ir.Model:
        """The model from what is held to the values that are wanted."""
        graph = ir.convenience.extract(self._model.graph, [values[name] for name in self._held[0]], wanted)
        for given in graph.inputs:
            array = self._held[0][str(given.name)]
            given.dtype = ir.DataType.from_numpy(array.dtype)
            given.shape = ir.Shape([None] * array.ndim)
        functions = self._model.functions.values()
        return ir.Model(
            graph, ir_version=self._model.ir_version, functions=[function.clone() for function in functions]
        )
