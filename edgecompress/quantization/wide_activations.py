"""Nodes of an enclosed network in uint16 in the place of uint8: named ones, and Softmax. Weights stay int8.

The compiler of an NPU wants what a node reads and writes in one type. So a value has the type of the node that computes
it, and where a node of the other type reads it, a second pair behind the first converts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import onnx_ir as ir

from edgecompress.calibration.schemes import QNNPACK, QuantParams
from edgecompress.exporters.graph import constant, initializer, insert_after
from edgecompress.quantization.operators import MOVES
from edgecompress.quantization.qdq_pairs import (
    CODES,
    DEQUANTIZE,
    PAIRS,
    QUANTIZE,
    codes_name,
    dequantized,
    pair_behind,
    params_of,
)

STEPS = 257
"""Steps of uint16 to a step of uint8: 65535 of them are 255 of these, so that each value of uint8 is one of uint16."""
INT32 = np.iinfo(np.int32)
ALWAYS_WIDE = frozenset({"Softmax"})
"""Operators that are uint16 in any case: with uint8 the NPU computes them in steps of 1/256, whatever the scale of
their output. A probability among 197 is about one such step, so that 10 dB are left there of the 47 on a CPU."""
NARROW = {"PRelu": 1}
"""Operators with an input that is uint8 in any case: the NPU's compiler refuses the file over a slope of 16 bits."""


Unit = tuple[str, ...]
"""Names of nodes that have one type: one computes, those behind it read it without a pair, or only move it."""


def units(graph: ir.Graph) -> list[Unit]:
    """The units of a network with pairs everywhere, in the order of the graph."""
    found: dict[ir.Node, list[str]] = {}
    for current in graph:
        if current.op_type not in PAIRS:
            before = _joined(current) or _moved_from(current)
            found[current] = found.get(before, []) if before else []
            found[current].append(str(current.name))
    return [tuple(names) for names in {id(names): names for names in found.values()}.values()]


def wide_nodes(graph: ir.Graph, patterns: Sequence[str]) -> set[ir.Node]:
    """The nodes whose names match, those that are wide in any case, and what goes along.

    An operator that only moves what a wide node wrote is wide, too, and so is a node without a pair between it and a
    wide one.

    Args:
        graph: with pairs everywhere, in topological order.
        patterns: names of nodes; ``*`` and ``?`` are wildcards.
    """
    wide: set[ir.Node] = set()
    for current in graph:
        asked = _named(current, patterns) or current.op_type in ALWAYS_WIDE
        if current.op_type not in PAIRS and (asked or _goes_along(current, wide)):
            wide.add(current)
    for current in reversed(graph):
        before = _joined(current)
        if current in wide and before is not None:
            wide.add(before)
    return wide


def _named(current: ir.Node, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(str(current.name), pattern) for pattern in patterns)


def _goes_along(current: ir.Node, wide: Set[ir.Node]) -> bool:
    return _joined(current) in wide or _moved_from(current) in wide


def _joined(current: ir.Node) -> ir.Node | None:
    """The node whose output a node reads without a pair between them."""
    value = current.inputs[0] if current.inputs else None
    maker = None if value is None else value.producer()
    return None if maker is None or maker.op_type in PAIRS else maker


def _moved_from(current: ir.Node) -> ir.Node | None:
    """The node that computed what a node only moves."""
    pair = _pair_before(current, 0) if current.inputs and current.op_type in MOVES else None
    quantize = None if pair is None or pair.inputs[0] is None else pair.inputs[0].producer()
    return None if quantize is None or quantize.inputs[0] is None else quantize.inputs[0].producer()


def _pair_before(reader: ir.Node, index: int) -> ir.Node | None:
    value = reader.inputs[index]
    maker = None if value is None else value.producer()
    return maker if maker is not None and maker.op_type == DEQUANTIZE else None


def reads_wide(reader: ir.Node, index: int, wide: Set[ir.Node]) -> bool:
    """Whether a node reads its input at an index as uint16."""
    return reader in wide and NARROW.get(reader.op_type) != index


def is_wide(value: ir.Value, wide: Set[ir.Node]) -> bool:
    """Whether a value is to be uint16: by who computes it; of an input, by whether a wide node reads it."""
    maker = value.producer()
    return maker in wide if maker is not None else any(reader in wide for reader in _readers(value))


def _readers(value: ir.Value) -> Iterator[ir.Node]:
    """The nodes that read a value, or floats of its integers."""
    for user, _ in value.uses():
        if user.op_type in PAIRS:
            yield from _readers(user.outputs[0])
        else:
            yield user


def twin(params: QuantParams) -> QuantParams:
    """uint16 parameters that hold each value of uint8 ones, up to the rounding of the scale.

    >>> params = QuantParams(scale=np.array(2.57, np.float32), zero_point=np.array(3, np.uint8))
    >>> wide = twin(params)
    >>> round(float(wide.scale), 6), int(wide.zero_point), wide.dtype.name
    (0.01, 771, 'uint16')
    """
    scale = np.array(float(params.scale) / STEPS, np.float32)
    return QuantParams(scale=scale, zero_point=np.array(int(params.zero_point) * STEPS, np.uint16))


def narrowed(params: QuantParams) -> QuantParams:
    """uint8 parameters for the range of uint16 ones."""
    ends = params.dequantize(np.array([0, np.iinfo(params.dtype).max], params.dtype))
    return QNNPACK.activation_params(float(ends[0]), float(ends[1]))


def widen(graph: ir.Graph, wide: Set[ir.Node], ranges: Mapping[str, QuantParams]) -> int:
    """Give every value its type, in a network with pairs of uint8 everywhere; returns how many values are uint16 then.

    Args:
        graph: changed in place.
        wide: its nodes that read and write uint16; all others uint8.
        ranges: uint16 parameters by the name of a value; others keep the range that they have, which may stand for an
            activation.
    """
    widened = [node for node in graph if node.op_type == QUANTIZE and is_wide(_source(node), wide)]
    for quantize in widened:
        name = str(quantize.name).removesuffix(CODES)
        _retype(graph, quantize, name, _moved_params(quantize) or ranges.get(name) or twin(params_of(quantize)))
    borders = _Borders(graph=graph)
    for current in [node for node in graph if node.op_type not in PAIRS]:
        for index in range(len(current.inputs)):
            borders.convert(current, index, np.dtype(np.uint16 if reads_wide(current, index, wide) else np.uint8))
        if current in wide:
            _rescale_bias(graph, current)
    return len(widened)


def _source(quantize: ir.Node) -> ir.Value:
    assert quantize.inputs[0] is not None
    return quantize.inputs[0]


def _moved_params(quantize: ir.Node) -> QuantParams | None:
    """The uint16 parameters of what an operator only moved."""
    mover = _source(quantize).producer()
    pair = _pair_before(mover, 0) if mover is not None and mover.op_type in MOVES and mover.inputs else None
    params = None if pair is None else params_of(pair)
    return params if params is not None and params.dtype == np.uint16 else None


def _retype(graph: ir.Graph, quantize: ir.Node, name: str, params: QuantParams) -> None:
    """Another pair in the place of one, and of all that read the same integers."""
    made = pair_behind(graph, _source(quantize), name, params)
    graph.insert_before(quantize, made)
    for pair in [user for user, _ in quantize.outputs[0].uses()]:
        output, real = pair.outputs[0], made[1].outputs[0]
        if output.is_graph_output():
            real.name, output.name = output.name, f"{output.name}/uint8"
        output.replace_all_uses_with(real, replace_graph_outputs=True)
        graph.remove(pair, safe=True)
    graph.remove(quantize, safe=True)


@dataclass(frozen=True, kw_only=True)
class _Borders:
    """The conversions that a graph has so far, by the integers that are converted."""

    graph: ir.Graph
    converted: dict[ir.Value, ir.Value] = field(default_factory=dict)

    def convert(self, reader: ir.Node, index: int, wanted: np.dtype[Any]) -> None:
        """Let a reader read an input in the type that it wants."""
        pair = _pair_before(reader, index)
        codes = None if pair is None else pair.inputs[0]
        if pair is None or codes is None:
            return
        params = params_of(pair)
        if params.dtype in (np.uint8, np.uint16) and params.dtype != wanted:
            if codes not in self.converted:
                self.converted[codes] = self._conversion(pair, codes, params)
            reader.replace_input_with(index, self.converted[codes])

    def _conversion(self, pair: ir.Node, codes: ir.Value, params: QuantParams) -> ir.Value:
        """The floats of the same values in the other type."""
        other, array = (twin if params.dtype == np.uint8 else narrowed)(params), constant(codes)
        name = f"{str(codes.name).removesuffix(CODES)}/{other.dtype}"
        if array is not None:
            stored = initializer(self.graph, codes_name(name), other.quantize(params.dequantize(array)))
            made = [dequantized(self.graph, stored, name, other)]
            self.graph.insert_before(pair, made)
        else:
            real = dequantized(self.graph, codes, f"{name}/real", params)
            made = [real, *pair_behind(self.graph, real.outputs[0], name, other)]
            insert_after(self.graph, codes.producer(), made)
        for each in made[::2]:
            each.outputs[0].shape, each.outputs[0].type = pair.outputs[0].shape, pair.outputs[0].type
        return made[-1].outputs[0]


def _rescale_bias(graph: ir.Graph, layer: ir.Node) -> None:
    """A bias in the scale of the input times that of the weight, where its integers fit that."""
    pairs = [_pair_before(layer, index) for index in range(len(layer.inputs))]
    if len(pairs) != 3 or any(pair is None for pair in pairs):
        return
    source, weight, bias = (params_of(pair) for pair in pairs if pair is not None)
    array = constant(pairs[2].inputs[0]) if pairs[2] is not None else None
    if array is None or bias.dtype != np.int32:
        return
    scale = (source.scale * weight.scale).astype(np.float32)
    codes = np.rint(array.astype(np.float64) * (bias.scale.astype(np.float64) / scale))
    if np.abs(codes).max(initial=0) <= INT32.max:
        name = f"{layer.name}/bias_of_uint16"
        stored = initializer(graph, codes_name(name), codes.astype(np.int32))
        made = dequantized(graph, stored, name, replace(bias, scale=scale))
        graph.insert_before(layer, made)
        layer.replace_input_with(2, made.outputs[0])
