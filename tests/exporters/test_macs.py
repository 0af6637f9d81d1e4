"""Multiply-accumulates of a graph: closed forms, and PyTorch's own counter."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from torch import nn

from edgecompress.data.batches import Batch
from edgecompress.exporters.macs import count_macs
from edgecompress.exporters.onnx import to_onnx
from edgecompress.modules.capture import capture
from edgecompress.pruning.counts import count_macs as count_torch
from edgecompress.recipe.tables import Export
from tests.exporters.graphs import draw, graph
from tests.networks import ConvNet, ResidualNet, seeded

X = {"x": draw(2, 4, 8, 8)}


@pytest.mark.parametrize(
    ("body", "weight", "expected"),
    [
        ("y = Conv<pads=[1,1,1,1]>(x, w)", draw(6, 4, 3, 3), 2 * 6 * 8 * 8 * 4 * 9),
        ("y = Conv<strides=[2,2], group=4>(x, w)", draw(4, 1, 2, 2), 2 * 4 * 4 * 4 * 4),
        ("y = ConvTranspose<strides=[2,2]>(x, w)", draw(4, 5, 2, 2), 2 * 4 * 8 * 8 * 5 * 4),
        ("y = MatMul(x, w)", draw(8, 3), 2 * 4 * 8 * 8 * 3),
        ("f = Flatten(x) y = Gemm(f, w)", draw(256, 10), 2 * 256 * 10),
        ("f = Flatten(x) t = Transpose(f) y = Gemm<transA = 1>(t, w)", draw(256, 10), 2 * 256 * 10),
        ("y = Add(x, w)", draw(8, 8), 0),
        ("t = Transpose<perm=[0,1,3,2]>(x) y = MatMul(x, t)", draw(1), 2 * 4 * 8 * 8 * 8),
    ],
)
def test_the_closed_form(body: str, weight: np.ndarray, expected: int) -> None:
    assert count_macs(graph(body, w=weight), X)["y"] == expected


def test_recurrent_layers_go_through_their_weights_at_every_step() -> None:
    body = "(float[T,N,3] x) => (float[a,b,c,d] y) { y = LSTM<hidden_size=5>(x, w, r) }"
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> one {body}')
    arrays = {"w": draw(1, 20, 3), "r": draw(1, 20, 5)}
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    proto.graph.node[0].name = "y"
    assert count_macs(ir.from_proto(proto), {"x": draw(7, 2, 3)})["y"] == 7 * 2 * 20 * (3 + 5)


def test_what_cannot_be_counted_is_none() -> None:
    assert count_macs(graph('y = Einsum<equation = "nchw,nchw->nc">(x, x)'), X)["y"] is None
    foreign = graph("y = Relu(x)")
    next(iter(foreign.graph)).domain = "com.example"
    foreign.opset_imports["com.example"] = 1
    assert count_macs(foreign, X) == {"y": None}
    behind = graph("s = NonZero(x) f = Cast<to = 1>(s) t = Transpose(f) y = MatMul(f, t)")
    assert count_macs(behind, X)["y"] is None  # how many values are not zero, nobody knows


def test_behind_an_operator_of_another_domain_the_file_is_believed() -> None:
    model = graph("r = Relu(x) y = MatMul(r, w)", w=draw(8, 3))
    foreign = next(iter(model.graph))
    foreign.domain, model.opset_imports["com.example"] = "com.example", 1
    assert count_macs(model, X) == {"r": None, "y": 2 * 4 * 8 * 8 * 3}


@pytest.mark.parametrize("kind", [ConvNet, ResidualNet])
def test_a_network_has_as_many_as_pytorch_counts(kind: type[nn.Module]) -> None:
    network, image = seeded(kind), torch.zeros(2, 3, 16, 16)
    name = next(iter(network.forward.__code__.co_varnames[1:2]))
    model = to_onnx(capture(network, Batch(inputs={name: image.numpy()}), Export()), Export())
    assert sum(count or 0 for count in count_macs(model, {name: image.numpy()}).values()) == count_torch(network, image)
