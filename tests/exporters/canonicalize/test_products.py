"""Einsum with constant weights, and weights as a first operand, compute the same as Conv or MatMul."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from edgecompress import Quantizer
from edgecompress.exporters.canonicalize.products import weigh_products
from edgecompress.metrics.agreement import Agreement
from tests.exporters.canonicalize.sequences import operators
from tests.exporters.graphs import draw, graph, run
from tests.networks import seeded

X = draw(2, 4, 8, 8)
SIZES = dict(zip("bchwpqr", (2, 4, 3, 5, 6, 2, 3), strict=True))


def _einsum(equation: str, *, first: bool) -> tuple[ir.Model, np.ndarray, np.ndarray]:
    """The model, a value for its input, and the weights, which stand first or second in the equation."""
    terms = equation.partition("->")[0].split(",")
    given, weighed = terms[::-1] if first else terms
    w = draw(*(SIZES[axis] for axis in weighed), seed=1)
    x = draw(*(SIZES[axis] for axis in given.replace("...", "bc")))
    shape = ",".join(["N", *map(str, x.shape[1:])])
    names = "w, x" if first else "x, w"
    proto = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 20]>
        main (float[{shape}] x) => (float y) {{ y = Einsum<equation = "{equation}">({names}) }}""")
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    proto.graph.initializer.append(onnx.numpy_helper.from_array(w, "w"))
    proto.graph.node[0].name = "y"
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto)), x, w


@pytest.mark.parametrize(
    ("equation", "first", "made"),
    [
        ("bchw,pc->bphw", False, ["Conv"]),
        ("pc,bch->bph", True, ["Conv"]),
        ("cp,bchw->bphw", True, ["Conv"]),
        ("bch,hp->bcp", False, ["MatMul"]),
        ("bch,ph->bcp", False, ["MatMul"]),
        ("...h,hp->...p", False, ["MatMul"]),
        ("bch,hqr->bcqr", False, ["MatMul", "Reshape"]),
        ("bchw,hwp->bcp", False, ["Reshape", "MatMul"]),
        ("bchw,whp->bcp", False, ["Transpose", "Reshape", "MatMul"]),
        ("bhc,hp->bpc", False, ["Conv"]),
        ("bchw,hpq->qbwcp", False, ["Transpose", "MatMul", "Reshape", "Transpose"]),
    ],
)
def test_an_einsum_with_constant_weights_is_a_layer(equation: str, first: bool, made: list[str]) -> None:
    model, x, w = _einsum(equation, first=first)
    result = weigh_products(model)
    assert operators(result.model) == made
    assert result.changes == (f"y: Einsum became {'Conv' if 'Conv' in made else 'MatMul'}",)
    wanted = np.einsum(equation, *((w, x) if first else (x, w)))
    np.testing.assert_allclose(run(result.model, x), wanted, rtol=1e-4, atol=1e-5)
    assert operators(model) == ["Einsum"]


@given(st.permutations("bchw"), st.permutations("chpq"), st.data())
def test_any_order_of_axes_computes_the_same(value: list[str], weights: list[str], data: st.DataObject) -> None:
    """``b`` and ``w`` stay, ``c`` and ``h`` are summed over, ``p`` and ``q`` come in."""
    order = data.draw(st.permutations("bwpq"))
    first = data.draw(st.booleans())
    terms = ["".join(value), "".join(weights)]
    equation = f"{','.join(terms[::-1] if first else terms)}->{''.join(order)}"
    model, x, w = _einsum(equation, first=first)
    result = weigh_products(model)
    assert "MatMul" in operators(result.model)
    wanted = np.einsum(equation, *((w, x) if first else (x, w)))
    np.testing.assert_allclose(run(result.model, x), wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "equation",
    [
        "bch,bhp->bcp",
        "bch,h->bc",
        "bch,chp->bhp",
        "bch,hp->bp",
        "bcc,cp->bcp",
        "bch,pq->bchpq",
        "bch,hp",
        "b...h,h...->b",
    ],
)
def test_another_einsum_stays(equation: str) -> None:
    terms = equation.partition("->")[0].split(",")
    if "..." in equation or "cc" in equation or "->" not in equation:
        proto = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 20]>
            main (float[N,3,3] x) => (float[a] y) {{ y = Einsum<equation = "{equation}">(x, w) }}""")
        proto.graph.initializer.append(onnx.numpy_helper.from_array(draw(3, 3), "w"))
        model = ir.from_proto(proto)
    else:
        assert len(terms) == 2
        model, *_ = _einsum(equation, first=False)
    assert operators(weigh_products(model).model) == ["Einsum"]


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_weights_as_a_first_operand(rank: int) -> None:
    """Over axis 1 it is a convolution; over another one the transpositions would cost what integers gain."""
    x, w = draw(*(2, 4, 3, 5)[:rank]), draw(6, (4, 4, 4, 3)[rank - 1] if rank != 2 else 2, seed=1)
    shape = ",".join(map(str, x.shape))
    proto = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 20]>
        main (float[{shape}] x) => (float y) {{ y = MatMul(w, x) }}""")
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    proto.graph.initializer.append(onnx.numpy_helper.from_array(w, "w"))
    result = weigh_products(ir.from_proto(onnx.shape_inference.infer_shapes(proto)))
    assert operators(result.model) == (["Conv"] if rank == 3 else ["MatMul"])
    np.testing.assert_allclose(run(result.model, x), w @ x, rtol=1e-4, atol=1e-5)


def test_weights_as_a_second_operand_stay() -> None:
    assert operators(weigh_products(graph("y = MatMul(x, w)", w=draw(8, 8))).model) == ["MatMul"]


class _Mixer(nn.Module):
    """Mixes places by weights that stand first, then channels into heads by an einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(24, 16) / 4)
        self.heads = nn.Parameter(torch.randn(20, 4, 8) / 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bnd,dhk->bnhk", torch.relu(self.places @ x), self.heads)


def test_both_forms_are_integer_layers_of_a_quantized_model() -> None:
    model = seeded(_Mixer)
    data = [(torch.randn(4, 16, 20, generator=torch.Generator().manual_seed(seed)),) for seed in range(8)]
    quantized = Quantizer.static_quantize(model, data)
    assert [refusal.kind for refusal in quantized.refusals] == ["Reshape"]  # at the output, which is float
    nodes = onnx.load_from_string(quantized.artifact).graph.node
    made_by = {name: node.op_type for node in nodes for name in node.output}
    layers = {node.op_type: made_by[node.input[1]] for node in nodes if node.op_type in ("Conv", "MatMul", "Einsum")}
    assert layers == {"Conv": "DequantizeLinear", "MatMul": "DequantizeLinear"}
    x = data[0][0]
    assert Agreement.between([model(x).detach().numpy()], [quantized(x).numpy()]).sqnr_db > 25
