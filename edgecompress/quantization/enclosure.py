"""Every operator between DequantizeLinear and QuantizeLinear, for chips that take nothing else.

ONNX Runtime's CPU provider has integer kernels for a few operators, and the table of placement leaves the others in
floats, and the last Gemm's output. The compiler of a Hexagon NPU takes nearly all of them in integers. What has floats
on one side and integers on the other it leaves to the CPU, or refuses with the whole file.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.arrays import Array
from edgecompress.calibration import QNNPACK, QuantParams, collect
from edgecompress.calibration.schemes import weight_params
from edgecompress.data.batches import Batches
from edgecompress.errors import plural
from edgecompress.exporters.graph import constant, initializer, insert_after, is_float, node
from edgecompress.progress import Progress
from edgecompress.quantization.float_moves import DEQUANTIZE, QUANTIZE, move_floats
from edgecompress.quantization.lowering import activation_params
from edgecompress.quantization.operators import MOVES, SATURATING
from edgecompress.quantization.qdq_pairs import codes_name, floats_name, params_of
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


def enclose(model: ir.Model, recipe: Quantization, batches: Batches, progress: Progress) -> StepResult[ir.Model]:
    """A copy of a quantized model in which pairs enclose every operator.

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
    enclosed = model.clone()
    moved = move_floats(enclosed.graph)
    passes.ShapeInferencePass()(enclosed)
    values = list(_open_values(enclosed.graph))
    params = {}
    if values:
        names = [str(value.name) for value in values]
        calibration = collect(enclosed, names, batches, progress)
        params = activation_params(calibration, recipe.model_copy(update={"observer": "min_max"}), QNNPACK)
    constants = _quantize_constants(enclosed.graph)
    for value in values:  # in the order of the graph: what is moved was decided before
        _pair(enclosed.graph, value, _moved(value) or params[str(value.name)])
    changes = (
        f"{plural(len(values), 'value')} and {plural(constants, 'constant')} became integers, that ONNX Runtime's CPU"
        " kernels leave float",
        f"operators that move integers and stand between pairs: {len(moved)}",
    )
    return StepResult(model=enclosed, changes=changes, metrics={"activation_codes": QNNPACK.quant_max + 1})


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
    constants = _constants_of(graph, name, params)
    quantize = node(QUANTIZE, [value, *constants], codes_name(name), codes_name(name))
    dequantize = node(DEQUANTIZE, [quantize.outputs[0], *constants], floats_name(name), floats_name(name))
    real = dequantize.outputs[0]
    real.shape, real.type = value.shape, value.type
    for user, index in readers:
        user.replace_input_with(index, real)
    for index, output in enumerate(graph.outputs):
        if output is value:
            graph.outputs[index] = real
            value.name, real.name = f"{name}/open", name
    insert_after(graph, value.producer(), [quantize, dequantize])


def _constants_of(graph: ir.Graph, name: str, params: QuantParams) -> tuple[ir.Value, ir.Value]:
    return (
        initializer(graph, f"{name}/scale", params.scale),
        initializer(graph, f"{name}/zero_point", params.zero_point),
    )


def _quantize_constants(graph: ir.Graph) -> int:
    """Weights and operands of what is enclosed as integers; returns how many."""
    count = 0
    for current in list(graph):
        if not _can_be_enclosed(current):
            continue
        for index, value in enumerate(current.inputs):
            array = constant(value)
            params = None if array is None or array.dtype != np.float32 else _params(current, index, array)
            if params is not None and array is not None:
                _store(graph, current, index, array, params)
                count += 1
    return count


def _params(current: ir.Node, index: int, array: Array) -> QuantParams | None:
    """Scale and zero point of a constant; None of one that stays float."""
    if current.op_type in WEIGHTS and index == 1:
        return weight_params(array, WEIGHTS[current.op_type] if current.op_type == "Conv" else None)
    places = OPERANDS.get(current.op_type, ())
    if places is None or index in places:
        return QNNPACK.activation_params(float(array.min(initial=0.0)), float(array.max(initial=0.0)))
    return None


def _store(graph: ir.Graph, current: ir.Node, index: int, array: Array, params: QuantParams) -> None:
    name = f"{current.name}/constant_{index}"
    codes = initializer(graph, codes_name(name), params.quantize(array))
    axis = {} if params.axis is None else {"axis": params.axis}
    inputs = [codes, *_constants_of(graph, name, params)]
    dequantize = node(DEQUANTIZE, inputs, floats_name(name), floats_name(name), **axis)
    graph.insert_before(current, dequantize)
    current.replace_input_with(index, dequantize.outputs[0])
