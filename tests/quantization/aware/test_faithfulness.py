"""A file that is not the network that was trained is caught, at the value where it begins."""

from __future__ import annotations

import onnx_ir as ir
import pytest
import torch

from edgecompress.errors import EdgecompressError
from edgecompress.quantization.aware.faithfulness import require_faithful
from edgecompress.quantization.aware.fake_quantized import FakeQuantized
from edgecompress.quantization.lowering import Lowering
from tests.exporters.graphs import draw, graph
from tests.quantization.lowerings import lowering_of

DATA = draw(8, 4, 8, 8)
PADS = "pads=[1,1,1,1]"


def _lowering() -> Lowering:
    body = f"a = Conv<{PADS}>(x, w) r = Relu(a) s = Conv<{PADS}>(r, v) t = Relu(s) y = Conv<{PADS}>(t, w)"
    model = graph(body, w=draw(4, 4, 3, 3), v=draw(4, 4, 3, 3, seed=1))
    return lowering_of(model, DATA, scheme="qnnpack", integer_entry=True)


def test_the_own_file_is_faithful() -> None:
    lowering = _lowering()
    found = require_faithful(lowering.write(), FakeQuantized(lowering), {"x": DATA})
    assert found is not None
    assert found.largest <= 1


def test_a_planted_scale_is_named() -> None:
    lowering = _lowering()
    written = lowering.write()
    scale = written.graph.initializers["t/scale"]
    assert scale.const_value is not None
    scale.const_value = ir.tensor(scale.const_value.numpy() * 1.1, name="t/scale")
    with pytest.raises(EdgecompressError, match=r"'t' of the file is [0-9]+ steps from the network that was trained"):
        require_faithful(written, FakeQuantized(lowering), {"x": DATA})


def test_a_weight_that_did_not_come_into_the_file_is_named_where_it_is_read() -> None:
    lowering = _lowering()
    network = FakeQuantized(lowering)
    with torch.no_grad():
        network.get_parameter("layers.1.weight")[0] += 40
    with pytest.raises(EdgecompressError, match="'t' of the file"):
        require_faithful(lowering.write(), network, {"x": DATA})
