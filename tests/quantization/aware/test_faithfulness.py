"""A file that is not the network that was trained is caught, at the value where it begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest
import torch

from edgecompress.errors import EdgecompressError
from edgecompress.quantization.aware.faithfulness import code_differences, require_faithful
from edgecompress.quantization.aware.fake_quantized import FakeQuantized, learned_lowering
from edgecompress.quantization.aware.integer_layer import LearnedStep
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


@pytest.mark.parametrize(("reach", "moved", "clipped"), [(5.97, 2.0, True), (6.06, -2.0, False)])
def test_a_step_that_moves_over_the_bound_of_its_activation_is_held_against_the_file(
    reach: float, moved: float, clipped: bool
) -> None:
    body = f"a = Conv<{PADS}>(x, w) r = Clip(a, low, high) y = Conv<{PADS}>(r, v)"
    ends = {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
    model = graph(body, w=8 * draw(4, 4, 3, 3), v=draw(4, 4, 3, 3, seed=1), **ends)
    lowering = lowering_of(model, DATA, scheme="qnnpack", integer_entry=True)
    reached = replace(lowering.params["r"], scale=np.array(reach / 255, np.float32))
    lowering = replace(lowering, params={**lowering.params, "r": reached})
    network = FakeQuantized(lowering)
    (grown,) = (step for step in network.steps if isinstance(step, LearnedStep) and step.start == float(reached.scale))
    with torch.no_grad():
        grown.moved.fill_(moved)
    written = learned_lowering(lowering, network).write()
    assert [sum(node.op_type == "Clip" for node in model.graph) for model in (lowering.write(), written)] == [
        not clipped,
        clipped,
    ]
    found = {each.name: each.largest for each in code_differences(written, network, {"x": DATA})}
    assert set(found) == {"x", "r", "y"}
    assert max(found.values()) <= 1
