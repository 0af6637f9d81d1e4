"""QDQ: the quantized graph, written so that ONNX Runtime fuses it.

Weights are stored as int8 and biases as int32 with scale (activation scale x weight scale). A
QuantizeLinear saturates, so that it stands for the ReLU before it; where its integers reach past the
bound of a Clip (ReLU6 under the 7-bit scheme), a Clip on the integers restores the bound, which keeps
the convolution fused where a float Clip would break it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes
from numpy.typing import NDArray

from edgecompress.calibration.schemes import QNNPACK, QuantParams
from edgecompress.exporters.graph import constant, initializer, insert_after, node
from edgecompress.quantization.fusion_barriers import barrier, copied, exposed_input, meets_pool
from edgecompress.quantization.hard_sigmoid import relabelled, thresholds
from edgecompress.quantization.operators import RULES, SATURATING, Role
from edgecompress.quantization.placement import Placement, activations
from edgecompress.quantization.product_readers import hides_product, reveal_product
from edgecompress.quantization.qdq_pairs import clip_name, codes_name, floats_name, pair_of, params_of, zero_point_name
from edgecompress.quantization.weights import summed_bias

INT32_LIMIT = 2.0**30
"""Half the range of an INT32 bias: the other half is left to the sum that it is added to."""

STORED_AS = {"int8": "weight", "int32": "bias", "uint8": "operand"}
"""What the constants of each integer type are called in the file."""


@dataclass(frozen=True, kw_only=True)
class _Integers:
    """A value as integers, and as the floats that they stand for."""

    codes: ir.Value
    real: ir.Value
    params: QuantParams


def insert_qdq(
    model: ir.Model, placement: Placement, params: Mapping[str, QuantParams], weights: Mapping[str, QuantParams]
) -> ir.Model:
    """A quantized copy of a float model.

    Args:
        model: float, not modified.
        placement: what becomes integer.
        params: uint8 scale and zero point for each value in ``placement.pairs``.
        weights: int8 scale and zero point for the weight of each placed node that has one, by its name.
    """
    quantized = model.clone()
    _Writer(quantized.graph, placement, params, weights).write()
    passes.RemoveUnusedNodesPass()(quantized)
    _forget_shapes(quantized.graph)
    return quantized


def _forget_shapes(graph: ir.Graph) -> None:
    """Drop the shapes of intermediate values: any reader infers them, and in a small network they weigh."""
    for node_ in graph:
        for value in node_.outputs:
            if not value.is_graph_output():
                value.shape = value.type = None


class _Writer:
    """One walk over a graph that it owns."""

    def __init__(
        self,
        graph: ir.Graph,
        placement: Placement,
        params: Mapping[str, QuantParams],
        weights: Mapping[str, QuantParams],
    ) -> None:
        self._graph = graph
        self._placed = set(placement.placed)
        self._folded = set(placement.folded)
        self._params = {name: params[name] for name in placement.pairs}
        self._weights = weights
        self._integers: dict[str, _Integers] = {}
        self._reals: dict[str, _Integers] = {}
        self._barriers: dict[str, ir.Value] = {}

    def write(self) -> None:
        for value in list(self._graph.inputs):
            if value.name in self._params:
                self._pair(value, value, None)
        for current in list(self._graph):
            if current.name in self._folded:
                self._fold(current)
            elif current.name in self._placed and RULES[current.op_type].role is Role.PASSTHROUGH:
                self._pass_through(current)
            else:
                self._rewire(current)

    def _rewire(self, current: ir.Node) -> None:
        """Let a node read what was quantized, and quantize what it writes."""
        is_placed = current.name in self._placed
        for index, value in enumerate(current.inputs):
            known = self._integers.get(str(value.name)) if value is not None else None
            if known is not None and is_placed:
                current.replace_input_with(index, known.real)
        if not is_placed and hides_product(current) and any(map(self._is_real_product, current.inputs)):
            return reveal_product(self._graph, current)
        if is_placed:
            self._constants(current)
        else:
            self._add_barrier(current)
        for output in list(current.outputs):
            if output.name in self._params:
                self._pair(output, output, current)
        return None

    def _is_real_product(self, value: ir.Value | None) -> bool:
        """Whether an integer kernel writes a value as floats."""
        writer = None if value is None else value.producer()
        return writer is not None and writer.name in self._placed and RULES[writer.op_type].float_output

    def _add_barrier(self, current: ir.Node) -> None:
        """Keep ONNX Runtime from making a float node integer."""
        index = exposed_input(current, self._reals, self._params)
        value = None if index is None else current.inputs[index]
        if index is None or value is None:
            return
        name = str(value.name)
        if name not in self._barriers:
            nodes = barrier(value, self._reals[name].codes)
            self._graph.insert_before(current, nodes)
            self._barriers[name] = nodes[-1].outputs[0]
        current.replace_input_with(index, self._barriers[name])

    def _pair(self, value: ir.Value, source: ir.Value, anchor: ir.Node | None, bounds: Bounds | None = None) -> None:
        """QuantizeLinear on ``source`` and DequantizeLinear, known from here on as ``value``."""
        name, params = str(value.name), self._params[str(value.name)]
        copies = [copied(source)] if meets_pool(source, self._placed) else []
        quantized = copies[0].outputs[0] if copies else source
        quantize = node(
            "QuantizeLinear", [quantized, *self._constants_of(name, params)], codes_name(name), codes_name(name)
        )
        chain = [*copies, quantize, *self._clip(name, quantize.outputs[0], params, bounds)]
        self._dequantize(value, chain[-1].outputs[0], chain, anchor, params)

    def _dequantize(
        self, value: ir.Value, codes: ir.Value, chain: list[ir.Node], anchor: ir.Node | None, params: QuantParams
    ) -> None:
        """Insert ``chain`` and the DequantizeLinear of ``codes``, and let readers of ``value`` read the result."""
        name = str(value.name)
        dequantize = node(
            "DequantizeLinear", [codes, *self._constants_of(name, params)], floats_name(name), floats_name(name)
        )
        real = dequantize.outputs[0]
        real.shape, real.type = value.shape, ir.TensorType(ir.DataType.FLOAT)
        if self._writes_integers(value):
            _redirect(value, real, keep=chain)
        insert_after(self._graph, anchor, [*chain, dequantize])
        self._know(name, _Integers(codes=codes, real=real, params=params))

    def _know(self, name: str, integers: _Integers) -> None:
        """Remember the integers of a value under its own name and under that of its floats."""
        real = str(integers.real.name)
        self._integers[name] = self._integers[real] = self._reals[real] = integers

    def _writes_integers(self, value: ir.Value) -> bool:
        """Whether an integer kernel writes this value, so that every reader has to take its pair."""
        producer = value.producer()
        return producer is not None and (producer.name in self._placed or producer.name in self._folded)

    def _fold(self, activation: ir.Node) -> None:
        """Quantize the input of an activation to the parameters of its output, and drop it."""
        source, output = activation.inputs[0], activation.outputs[0]
        assert source is not None
        anchor = source.producer()
        self._pair(output, source, anchor, bounds_of(activation))
        for index in range(len(activation.inputs)):
            activation.replace_input_with(index, None)  # or its bounds would count as read
        self._graph.remove(activation, safe=False)

    def _pass_through(self, current: ir.Node) -> None:
        """Run a node on the integers of its input; the float node is left without readers."""
        source = current.inputs[0]
        assert source is not None
        known = self._integers[str(source.name)]
        if current.op_type in (*SATURATING, "HardSigmoid"):
            return self._saturate(current, known)
        twin = self._twin(current, known)
        insert_after(self._graph, current, [twin])
        for output, codes in zip(current.outputs, twin.outputs, strict=True):
            codes.name = codes_name(str(output.name))
            self._dequantize(output, codes, [], twin, known.params)
        return None

    def _saturate(self, current: ir.Node, known: _Integers) -> None:
        """A Clip on integers in the place of an activation, or nothing where they need none."""
        output, name = current.outputs[0], str(current.outputs[0].name)
        bounds = thresholds(current) if current.op_type == "HardSigmoid" else bounds_of(current)
        params = relabelled(current, known.params) if current.op_type == "HardSigmoid" else known.params
        chain = self._clip(name, known.codes, known.params, bounds)
        if chain or params is not known.params:
            codes = chain[-1].outputs[0] if chain else known.codes
            self._dequantize(output, codes, chain, current, params)
        else:
            _redirect(output, known.real, keep=[])
            self._know(name, known)

    def _twin(self, current: ir.Node, known: _Integers) -> ir.Node:
        """The integer twin of a float node that moves values."""
        inputs = [known.codes, *current.inputs[1:]]
        if current.op_type == "Pad":
            fill = initializer(self._graph, f"{current.name}/fill", known.params.zero_point)
            inputs = [known.codes, current.inputs[1], fill, *current.inputs[3:]]
        count = len(current.outputs)
        return ir.node(current.op_type, inputs, current.attributes, num_outputs=count, name=current.name)

    def _clip(self, name: str, codes: ir.Value, params: QuantParams, bounds: Bounds | None) -> list[ir.Node]:
        """A Clip on the integers, where they reach past the bounds of the activation."""
        if bounds is None:
            return []
        limits = np.iinfo(params.dtype)
        low, high = (_code(bound, params) for bound in bounds)
        if low <= limits.min and high >= limits.max:
            return []
        ends = [
            initializer(self._graph, f"{name}/{end}", np.array(np.clip(code, limits.min, limits.max), params.dtype))
            for end, code in (("low", low), ("high", high))
        ]
        return [node("Clip", [codes, *ends], f"{name}_clipped", clip_name(name))]

    def _constants_of(self, name: str, params: QuantParams) -> tuple[ir.Value, ...]:
        """Scale and zero point; that of INT32 is 0 by definition, and takes as much room as the biases themselves.

        Each weight has a zero point of its own, or exact sessions (``arithmetic.py``) refuse the file.
        """
        scale = initializer(self._graph, f"{name}/scale", params.scale)
        if params.dtype == np.int32:
            return (scale,)
        if params.dtype == np.int8:
            return scale, initializer(self._graph, f"{name}/zero_point", params.zero_point)
        return scale, self._zero_point(params.zero_point)

    def _zero_point(self, zero_point: NDArray[Any]) -> ir.Value:
        """Stored once for all values that have it: most are 0, and in a small network they weigh."""
        return initializer(self._graph, zero_point_name(zero_point), zero_point)

    def _constants(self, current: ir.Node) -> None:
        """Weight and bias of a placed node as integers."""
        rule = RULES[current.op_type]
        if rule.role in (Role.CONNECTIVE, Role.BRIDGE):
            self._operands(current)
        weight = constant(current.inputs[rule.weight]) if rule.weight is not None else None
        if weight is None or rule.weight is None:
            return
        has_bias = rule.bias is not None and len(current.inputs) > rule.bias and current.inputs[rule.bias] is not None
        bias = constant(current.inputs[rule.bias]) if has_bias and rule.bias is not None else None
        input_scale = float(self._input_params(current).scale)
        params = self._weight_params(current, input_scale)
        self._store(current, rule.weight, params, weight)
        if bias is not None and rule.bias is not None:
            scale = (np.float32(input_scale) * params.scale).astype(np.float32)
            axis = None if params.axis is None else 0
            zero_point = np.zeros(scale.shape, np.int32)
            self._store(current, rule.bias, QuantParams(scale=scale, zero_point=zero_point, axis=axis), bias)

    def _operands(self, current: ir.Node) -> None:
        """The constant operand of an Add or Mul as integers; its own range, since no product of it is summed up."""
        for index, value in enumerate(current.inputs):
            array = constant(value)
            if array is not None:
                params = QNNPACK.activation_params(float(array.min()), float(array.max()))
                self._store(current, index, params, array)

    def _input_params(self, current: ir.Node) -> QuantParams:
        known = (self._integers.get(str(value.name)) for value in activations(current))
        return next(integers.params for integers in known if integers is not None)

    def _weight_params(self, current: ir.Node, input_scale: float) -> QuantParams:
        params, bias = self._weights[str(current.name)], summed_bias(current)
        if bias is None:
            return params
        # A dead channel has a tiny weight scale, and its bias would overflow INT32: widen the scale.
        floor = np.abs(bias.astype(np.float64)) / (input_scale * INT32_LIMIT)
        floor = floor if params.axis is not None else floor.max(initial=0.0)
        return replace(params, scale=np.maximum(params.scale, floor).astype(np.float32))

    def _store(self, current: ir.Node, index: int, params: QuantParams, array: NDArray[Any]) -> None:
        """Replace a constant input by its integers and a DequantizeLinear."""
        name = f"{current.name}/{STORED_AS[params.dtype.name]}"
        codes = initializer(self._graph, codes_name(name), params.quantize(array))
        inputs = [codes, *self._constants_of(name, params)]
        axis = {} if params.axis is None else {"axis": params.axis}
        dequantize = node("DequantizeLinear", inputs, floats_name(name), floats_name(name), **axis)
        self._graph.insert_before(current, dequantize)
        current.replace_input_with(index, dequantize.outputs[0])


def restore(layer: ir.Node, index: int, array: NDArray[Any]) -> None:
    """Let a layer of a quantized graph hold another weight or bias, in integers of the scale that it has."""
    pair = pair_of(layer, index)
    codes = pair.inputs[0]
    assert codes is not None
    codes.const_value = ir.tensor(params_of(pair).quantize(array), name=codes.name)


Bounds = tuple[float, float]


def bounds_of(activation: ir.Node) -> Bounds:
    """The least and greatest value that a Relu or a Clip with constant bounds lets through."""
    if activation.op_type == "Relu":
        return 0.0, np.inf
    ends = [constant(value) for value in activation.inputs[1:]]
    low, high = [*ends, None, None][:2]
    return -np.inf if low is None else float(low.item()), np.inf if high is None else float(high.item())


def _code(bound: float, params: QuantParams) -> float:
    return float(np.rint(bound / float(params.scale)) + int(params.zero_point)) if np.isfinite(bound) else bound


def _redirect(value: ir.Value, real: ir.Value, keep: list[ir.Node]) -> None:
    """Let every reader of ``value`` but the nodes in ``keep`` read ``real``; an output keeps its name."""
    for user, index in list(value.uses()):
        if user not in keep:
            user.replace_input_with(index, real)
    graph = value.graph
    if value.is_graph_output() and graph is not None:
        name = value.name
        value.name, real.name = f"{name}_float", name
        for position, output in enumerate(list(graph.outputs)):
            if output is value:
                graph.outputs[position] = real
