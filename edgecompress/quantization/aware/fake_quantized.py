"""The network that a lowering writes, as a PyTorch module that can be trained.

The module runs the nodes of the INT8 graph: its placement, zero points, folded activations, integer biases and
roundings are the file's by construction. What is learned are weights, biases and steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from edgecompress.calibration import QuantParams
from edgecompress.calibration.schemes import WEIGHT_BITS
from edgecompress.exporters.graph import replace_constant
from edgecompress.quantization.aware.graph_run import Change, constants_of, instructions_of, run_instructions, unchanged
from edgecompress.quantization.aware.integer_layer import IntegerLayer, LearnedStep
from edgecompress.quantization.aware.rounding_gradients import dequantize, quantize
from edgecompress.quantization.lowering import Lowering, passed_on
from edgecompress.quantization.operators import RULES, SATURATING
from edgecompress.quantization.qdq import Bounds, bounds_of
from edgecompress.quantization.qdq_pairs import clip_name, codes_name, floats_name, params_of
from edgecompress.quantization.weights import adds_in_pairs, constant_bias, constant_weight, summed_bias, weight_axis

CODES = 0, 255
"""The ends of uint8."""
BENT = (*SATURATING, "HardSigmoid")
"""Activations whose bounds stand in the file as codes: the steps of what they read stay as they are."""

Arrange = Callable[[Sequence[Tensor]], Any]


class FakeQuantized(nn.Module):
    """The INT8 network of a lowering in float32, with every rounding of the file, which gradients pass.

    Args:
        lowering: not modified.
        arrange: what the loss reads, made of the graph's outputs in their order; by default a tuple of them.

    Raises:
        NoFormError: an operator has no form in PyTorch here.
    """

    def __init__(self, lowering: Lowering, arrange: Arrange = tuple) -> None:
        super().__init__()
        graph = lowering.write().graph
        self._arrange = arrange
        self._inputs = tuple(str(value.name) for value in graph.inputs)
        self._outputs = tuple(str(value.name) for value in graph.outputs)
        steps = _learned_steps(graph, lowering)
        self._step_names = tuple(names for names, _ in steps)
        self.steps = nn.ModuleList(LearnedStep(params.scale) for _, params in steps)
        found = list(_layers(graph, lowering))
        self._sources = tuple(source for source, _, _ in found)
        self._written = tuple(names for _, names, _ in found)
        self.layers = nn.ModuleList(layer for _, _, layer in found)
        bounds = dict(_folded_bounds(lowering))
        given = {name for names in self._written for name in names}
        self._instructions = instructions_of(graph, given, functools.partial(_special, bounds))
        constants = constants_of(graph)
        read = {name for step in self._instructions for name in step.inputs} | {*self._outputs, *self._sources}
        self._constants = tuple(name for name in constants if name in read)
        for index, name in enumerate(self._constants):
            self.register_buffer(f"constant_{index}", constants[name], persistent=False)

    def forward(self, *args: Tensor, **inputs: Tensor) -> Any:
        """What the INT8 network answers; inputs by position or by name, of the shapes that the graph declares."""
        values = self._run({**dict(zip(self._inputs, args, strict=False)), **inputs})
        return self._arrange([values[name] for name in self._outputs])

    @torch.no_grad()
    def answers_to(self, inputs: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the network computes for some values of its graph from what another one has for those before them.

        Args:
            inputs: by name.
            given: values by name, codes as float32: each is computed, told, and replaced by what is given.
        """
        told: dict[str, Tensor] = {}

        def replaced(name: str, value: Tensor) -> Tensor:
            told[name] = value
            return given[name]

        self._run(inputs, lambda name, value: replaced(name, value) if name in given else value)
        return told

    @torch.no_grad()
    def source_steps(self) -> list[Tensor]:
        """The step of each layer's input."""
        known = self._constants_now()
        return [known[name] for name in self._sources]

    def _constants_now(self) -> dict[str, Tensor]:
        """The constants of the graph, with the steps as they are now."""
        values = {name: self.get_buffer(f"constant_{index}") for index, name in enumerate(self._constants)}
        for names, step in zip(self._step_names, self.steps, strict=True):
            values |= dict.fromkeys(names, step())
        return values

    def _run(self, inputs: Mapping[str, Tensor], changed: Change = unchanged) -> dict[str, Tensor]:
        values = self._constants_now() | dict(inputs)
        for source, names, layer in zip(self._sources, self._written, self.layers, strict=True):
            values |= zip(names, layer(values[source]), strict=False)
        run_instructions(self._instructions, values, changed)
        return values


def learned_lowering(lowering: Lowering, network: FakeQuantized) -> Lowering:
    """The lowering that writes the network as training left it.

    Args:
        lowering: what the network was made of; not modified.
        network: trained.
    """
    model = lowering.model.clone()
    nodes = {str(node.name): node for node in model.graph}
    weights = dict(lowering.weights)
    for name, source, layer in zip(_layer_names(lowering), network.source_steps(), network.layers, strict=True):
        assert isinstance(layer, IntegerLayer)
        learned, rule = layer.learned(source), RULES[nodes[name].op_type]
        assert rule.weight is not None
        weights[name] = learned.params
        replace_constant(model.graph, nodes[name], rule.weight, learned.weight)
        if learned.bias is not None and rule.bias is not None:
            replace_constant(model.graph, nodes[name], rule.bias, learned.bias)
    moved = _moved_steps(lowering, network)
    params = {name: moved.get(id(given), given) for name, given in lowering.params.items()}
    return replace(lowering, model=model, params=params, weights=weights, own={})


def _moved_steps(lowering: Lowering, network: FakeQuantized) -> dict[int, QuantParams]:
    """The parameters of activations after training, by the identity of those before."""
    before = _learned_steps(lowering.write().graph, lowering)
    with torch.no_grad():
        after = [step().cpu().numpy() for step in network.steps]
    return {id(params): replace(params, scale=scale) for (_, params), scale in zip(before, after, strict=True)}


def _learned_steps(graph: ir.Graph, lowering: Lowering) -> list[tuple[tuple[str, ...], QuantParams]]:
    """The parameters of activations whose steps are learned, each with the constants that hold its step.

    Parameters that several values have, for the sake of a Concat or since one is only moved, stay one. What follows
    from others, as that of a HardSigmoid does, is not learned. Under a scheme of 7 bits nothing is: a finer step would
    let codes out of them.
    """
    if lowering.scheme.quant_max < CODES[1]:
        return []
    decided = set(map(id, lowering.params.values()))
    found: dict[int, tuple[QuantParams, dict[str, None]]] = {}
    bent: set[int] = set()
    for node, params in _pairs(graph, lowering):
        if id(params) in decided:
            names = found.setdefault(id(params), (params, {}))[1]
            names[str(node.inputs[1].name if node.inputs[1] is not None else "")] = None
    for node in lowering.model.graph:
        if node.op_type in BENT and node.name in lowering.placement.placed:
            ends = (node.inputs[0], node.outputs[0])
            bent |= {id(passed_on(value, lowering.params)) for value in ends if value is not None}
    return [(tuple(names), params) for key, (params, names) in found.items() if key not in bent]


def _folded_bounds(lowering: Lowering) -> Iterator[tuple[str, Bounds]]:
    """What a folded activation lets through, by the name of its output."""
    for node in lowering.model.graph:
        if node.name in lowering.placement.folded:
            yield str(node.outputs[0].name), bounds_of(node)


def _pairs(graph: ir.Graph, lowering: Lowering) -> Iterator[tuple[ir.Node, QuantParams]]:
    """Every QuantizeLinear and DequantizeLinear of an activation, with its parameters."""
    values = {str(value.name): value for value in lowering.model.graph.inputs}
    values |= {str(value.name): value for node in lowering.model.graph for value in node.outputs}
    named = {name: value for key, value in values.items() for name in (codes_name(key), floats_name(key))}
    for node in graph:
        params = passed_on(named[str(node.name)], lowering.params) if str(node.name) in named else None
        if params is not None and node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            yield node, params


def _layer_names(lowering: Lowering) -> list[str]:
    return [str(node.name) for node in lowering.model.graph if node.name in lowering.weights]


def _layers(graph: ir.Graph, lowering: Lowering) -> Iterator[tuple[str, tuple[str, ...], IntegerLayer]]:
    """Each layer with integer weights: the constant of its input's step, what it writes, and what is learned."""
    written = {str(node.name): node for node in graph}
    shared: dict[tuple[str, int | None, int | None], nn.Parameter] = {}
    for node in lowering.model.graph:
        if node.name not in lowering.weights:
            continue
        weight, bias, rule = constant_weight(node), constant_bias(node), RULES[node.op_type]
        assert weight is not None
        assert rule.weight is not None
        pair = written[floats_name(f"{node.name}/weight")]
        params, source = params_of(pair), _source(written[str(node.name)])
        held = node.inputs[rule.weight]
        bits = lowering.weights[str(node.name)].bits
        key = (str(held.name if held is not None else ""), params.axis, bits)
        if key not in shared:
            shared[key] = nn.Parameter(torch.tensor(weight / params.spread(params.scale, weight.ndim)))
        names = [str(pair.outputs[0].name)]
        if bias is not None:
            names.append(str(written[floats_name(f"{node.name}/bias")].outputs[0].name))
        layer = IntegerLayer(
            shared[key],
            params.scale,
            params.axis,
            bias,
            float(params_of(source).scale),
            learns_step=not lowering.scheme.narrow_weights,
            pair_axis=(weight_axis(node, weight) or 0) if adds_in_pairs(node, weight) else None,
            added=summed_bias(node) if bias is None else None,
            bits=bits or WEIGHT_BITS,
        )
        step = source.inputs[1]
        yield str(step.name if step is not None else ""), tuple(names), layer


def _source(layer: ir.Node) -> ir.Node:
    """The DequantizeLinear of the activation that a layer reads first."""
    makers = (value.producer() for value in layer.inputs if value is not None)
    pairs = (made for made in makers if made is not None and made.op_type == "DequantizeLinear")
    return next(made for made in pairs if params_of(made).dtype == np.uint8)


def _special(bounds: Mapping[str, Bounds], node: ir.Node) -> Callable[..., Tensor] | None:
    """The two operators of a pair, on floats that hold codes, and the Clip on them, which the first one does here."""
    value = str(node.name).rpartition("/")[0]
    if node.op_type == "QuantizeLinear":
        return functools.partial(_quantized, *bounds.get(value, (-np.inf, np.inf)))
    if node.op_type == "Clip" and str(node.name) == clip_name(value) and value in bounds:
        return lambda codes, *_: codes
    if node.op_type == "DequantizeLinear":
        return functools.partial(_dequantized, node.attributes.get_int("axis", 1))
    return None


def _quantized(low: float, high: float, values: Tensor, step: Tensor, zero: Tensor) -> Tensor:
    """Codes within the bounds of an activation, which move with the step."""
    with torch.no_grad():
        ends = [(torch.round(end / step) + zero).clamp(*CODES) for end in (low, high)]
    return quantize(values, step, zero, *ends)


def _dequantized(axis: int, codes: Tensor, step: Tensor, zero: Tensor | None = None) -> Tensor:
    if step.ndim:
        shape = [-1 if at == axis else 1 for at in range(codes.ndim)]
        step, zero = step.reshape(shape), None if zero is None else zero.reshape(shape)
    return dequantize(codes, step, step.new_zeros(()) if zero is None else zero)
