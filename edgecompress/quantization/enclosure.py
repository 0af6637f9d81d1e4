"""Every operator between DequantizeLinear and QuantizeLinear, for chips that take nothing else.

ONNX Runtime's CPU provider has integer kernels for a few operators, and the table of placement leaves the others in
floats, and the last Gemm's output. The compiler of a Hexagon NPU takes nearly all of them in integers. What has floats
on one side and integers on the other it leaves to the CPU, or refuses with the whole file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.arrays import Array
from edgecompress.calibration import QNNPACK, QuantParams, collect
from edgecompress.calibration.schemes import UINT16, Scheme, weight_params
from edgecompress.data.batches import Batches
from edgecompress.errors import plural
from edgecompress.exporters.graph import constant, initializer, insert_after, is_float
from edgecompress.progress import Progress
from edgecompress.quantization.attention_masks import bound_masks
from edgecompress.quantization.float_moves import move_floats
from edgecompress.quantization.kept_float import unmatched
from edgecompress.quantization.lowering import activation_params
from edgecompress.quantization.operators import MOVES, SATURATING
from edgecompress.quantization.qdq_pairs import DEQUANTIZE, QUANTIZE, codes_name, dequantized, pair_behind, params_of
from edgecompress.quantization.wide_activations import reads_wide, wide_nodes, widen
from edgecompress.recipe.tables import Quantization
from edgecompress.step import StepResult

LEFT = frozenset({"Constant", "ConstantOfShape", "GRU", "If", "LSTM", "Loop", "RNN", "Scan", "Shape", "Size"})
"""Operators that have no values in integers: control flow, recurrence, shapes."""
WEIGHTS = {"Conv": 0, "ConvTranspose": 1}
"""Operators whose second input is a weight, in int8, with the axis of its output channels."""
OPERANDS = {
    **dict.fromkeys(("Add", "Concat", "Div", "MatMul", "Max", "Min", "Mul", "Sub", "Where"), None),
    **dict.fromkeys(("InstanceNormalization", "LayerNormalization", "PRelu"), (1,)),
}
"""Operators whose constants become uint8: at which inputs; None for all. Bounds, exponents and biases stay float."""


@dataclass(frozen=True, kw_only=True)
class Enclosable:
    """A quantized network, and what it takes to put pairs around all of it.

    Attributes:
        model: operators that move integers stand between pairs, and types are inferred; it is not modified.
        moved: how many these are.
        ranges: uint8 and uint16 parameters of each value that has no pair, by its name.
    """

    model: ir.Model
    moved: int
    ranges: Mapping[str, Mapping[Scheme, QuantParams]]

    def enclose(self, patterns: Sequence[str]) -> StepResult[ir.Model]:
        """The network with pairs around every operator; nodes that are named, and Softmax, read and write uint16.

        Args:
            patterns: names of nodes; ``*`` and ``?`` are wildcards.
        """
        enclosed = self.model.clone()
        graph = enclosed.graph
        values = list(_open_values(graph))
        for value in values:  # in the order of the graph: what is moved was decided before
            _pair(graph, value, _moved(value) or self.ranges[str(value.name)][QNNPACK])
        wide = wide_nodes(graph, patterns)
        constants = _quantize_constants(graph, wide)
        widened = widen(graph, wide, {name: params[UINT16] for name, params in self.ranges.items()})
        changes = (
            f"{plural(len(values), 'value')} and {plural(constants, 'constant')} became integers, that ONNX Runtime's"
            " CPU kernels leave float",
            f"operators that move integers and stand between pairs: {self.moved}",
            *((f"values that are uint16: {widened}",) if widened else ()),
        )
        strangers = tuple(
            f"quantization.uint16_activations: no node has a name like {pattern!r}; inspect lists the names"
            for pattern in unmatched(graph, patterns)
        )
        metrics = {"activation_codes": QNNPACK.quant_max + 1}
        return StepResult(model=enclosed, changes=changes, warnings=strangers, metrics=metrics)


def enclosable(model: ir.Model, recipe: Quantization, batches: Batches, progress: Progress) -> Enclosable:
    """Calibrate what has no pair yet.

    What was seen is covered whole: many of these values are integers already, times a scale, and there is nothing to
    clip. What an operator only moves keeps its scale.

    Args:
        model: quantized or float, not modified.
        recipe: of the quantization.
        batches: calibration data, read twice.
        progress: told of every batch.

    Raises:
        DataError: the calibration data does not fit the model.
    """
    opened = model.clone()
    moved = move_floats(opened.graph)
    bound_masks(opened, batches, progress)
    passes.ShapeInferencePass()(opened)
    names = [str(value.name) for value in _open_values(opened.graph)]
    ranges = {}
    if names:
        calibration = collect(opened, names, batches, progress)
        exact = recipe.model_copy(update={"observer": "min_max"})
        found = {scheme: activation_params(calibration, exact, scheme) for scheme in (QNNPACK, UINT16)}
        ranges = {name: {scheme: params[name] for scheme, params in found.items()} for name in names}
    return Enclosable(model=opened, moved=len(moved), ranges=ranges)


def _open_values(graph: ir.Graph) -> Iterator[ir.Value]:
    """The floats that an operator of the table reads or writes without a pair."""
    seen = set()
    for current in graph:
        if not _can_be_enclosed(current):
            continue
        for value in (*current.inputs, *current.outputs):
            if value is not None and value not in seen and _is_open(value):
                seen.add(value)
                yield value


def _can_be_enclosed(current: ir.Node) -> bool:
    return current.domain in ("", "ai.onnx") and current.op_type not in (QUANTIZE, DEQUANTIZE, *LEFT)


def _is_open(value: ir.Value) -> bool:
    if not is_float(value) or constant(value) is not None:
        return False
    producer = value.producer()
    if producer is not None and producer.op_type == DEQUANTIZE:
        return False
    readers = [user for user, _ in value.uses()]
    if value.is_graph_output():
        return True
    return not (_quantized(readers) or (len(readers) == 1 and _folds(readers[0])))


def _quantized(readers: list[ir.Node]) -> bool:
    return bool(readers) and all(reader.op_type == QUANTIZE for reader in readers)


def _folds(activation: ir.Node) -> bool:
    """Whether an activation goes into the layer before it: its own pair stands for both."""
    output = activation.outputs[0]
    return (
        activation.op_type in SATURATING
        and not output.is_graph_output()
        and _quantized([user for user, _ in output.uses()])
    )


def _moved(value: ir.Value) -> QuantParams | None:
    """The parameters of what an operator only moves; None of what is computed."""
    producer = value.producer()
    source = producer.inputs[0] if producer is not None and producer.op_type in MOVES and producer.inputs else None
    pair = None if source is None else source.producer()
    return params_of(pair) if pair is not None and pair.op_type == DEQUANTIZE else None


def _pair(graph: ir.Graph, value: ir.Value, params: QuantParams) -> None:
    """A pair behind a value, which everybody else reads."""
    name, readers = str(value.name), list(value.uses())
    made = pair_behind(graph, value, name, params)
    real = made[1].outputs[0]
    for user, index in readers:
        user.replace_input_with(index, real)
    for index, output in enumerate(graph.outputs):
        if output is value:
            graph.outputs[index] = real
            value.name, real.name = f"{name}/open", name
    insert_after(graph, value.producer(), made)


def _quantize_constants(graph: ir.Graph, wide: Set[ir.Node]) -> int:
    """Weights and operands of what is enclosed as integers, those of wide nodes as uint16; returns how many."""
    count = 0
    for current in list(graph):
        if not _can_be_enclosed(current):
            continue
        for index, value in enumerate(current.inputs):
            array = constant(value)
            scheme = UINT16 if reads_wide(current, index, wide) else QNNPACK
            params = None if array is None or array.dtype != np.float32 else _params(current, index, array, scheme)
            if params is not None and array is not None:
                _store(graph, current, index, array, params)
                count += 1
    return count


def _params(current: ir.Node, index: int, array: Array, scheme: Scheme) -> QuantParams | None:
    """Scale and zero point of a constant; None of one that stays float."""
    if current.op_type in WEIGHTS and index == 1:
        return weight_params(array, WEIGHTS[current.op_type] if current.op_type == "Conv" else None)
    places = OPERANDS.get(current.op_type, ())
    if places is None or index in places:
        return scheme.activation_params(float(array.min(initial=0.0)), float(array.max(initial=0.0)))
    return None


def _store(graph: ir.Graph, current: ir.Node, index: int, array: Array, params: QuantParams) -> None:
    name = f"{current.name}/constant_{index}"
    codes = initializer(graph, codes_name(name), params.quantize(array))
    dequantize = dequantized(graph, codes, name, params)
    graph.insert_before(current, dequantize)
    current.replace_input_with(index, dequantize.outputs[0])
