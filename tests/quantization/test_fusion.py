"""What ONNX Runtime runs, held against what was meant, in both directions."""

from __future__ import annotations

import onnx_ir as ir

from edgecompress.data.batches import Batches, InputNames
from edgecompress.exporters.graph import node, substitute
from edgecompress.progress import Progress
from edgecompress.quantization.fusion import read_fusion
from edgecompress.quantization.placement import place
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from tests.exporters.graphs import draw, graph
from tests.quantization.flows import batches_of, flow

CONV = "Conv<pads=[1,1,1,1]>"
BODY = f"a = {CONV}(x, w) s = Softmax<axis=1>(a) t = Transpose<perm=[0,1,3,2]>(s) y = {CONV}(t, w)"
MODEL = graph(BODY, w=draw(4, 4, 3, 3))


def _quantize(*keep_float: str) -> ir.Model:
    data = [draw(4, 4, 8, 8)]
    batches = Batches(role="calibration", source=lambda: data, inputs=InputNames(names=("x",), required=1))
    return quantize_static(MODEL, Quantization(enabled=True, keep_float=keep_float), batches, Progress()).model


def test_what_is_as_it_was_meant_is_counted() -> None:
    fusion = read_fusion(MODEL, _quantize("s"), place(MODEL.graph, {"s": "it is kept"}))
    assert (fusion.integer, fusion.floating) == ({"Conv": 2}, {"Softmax": 1, "Transpose": 1})
    assert fusion.unfused == fusion.taken == ()


def test_what_was_meant_to_be_float_and_is_integer_is_told() -> None:
    fusion = read_fusion(MODEL, _quantize(), place(MODEL.graph, {"s": "it is kept"}))
    (stray,) = fusion.taken
    assert (stray.name, stray.kind) == ("s", "Softmax")
    assert fusion.integer == {"Conv": 2, "Softmax": 1}
    assert fusion.unfused == ()


def test_what_was_meant_to_be_integer_and_is_float_is_told() -> None:
    fusion = read_fusion(MODEL, _quantize("s"), place(MODEL.graph))
    (stray,) = fusion.unfused
    assert (stray.name, stray.kind) == ("s", "Softmax")
    assert fusion.floating == {"Softmax": 1}
    assert fusion.taken == ()


def test_a_layer_that_lost_its_name_with_its_integers_is_told() -> None:
    """ONNX Runtime makes one float Gemm of a product and a sum, under another name."""
    model = flow("a = MatMul(x, w) k = Add(a, x) y = Softmax(k)")
    placement = place(model.graph)
    recipe = Quantization(enabled=True)
    quantized = quantize_static(model, recipe, batches_of(), Progress()).model
    revealed = next(node for node in quantized.graph if node.op_type == "Sum")
    substitute(quantized.graph, revealed, [node("Add", revealed.inputs, "", "k")])
    (stray,) = read_fusion(model, quantized, placement).unfused
    assert (stray.name, stray.kind) == ("a", "MatMul")
