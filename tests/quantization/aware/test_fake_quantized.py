"""The network of a lowering answers as its file, before training and wherever training may take its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecompress.errors import ModelError
from edgecompress.quantization.aware.faithfulness import code_differences
from edgecompress.quantization.aware.fake_quantized import FakeQuantized, learned_lowering
from edgecompress.quantization.readback import require_decided
from edgecompress.runtime import ALL_CORES, open_session, run_session
from tests.exporters.graphs import draw, graph
from tests.quantization.lowerings import lowering_of

BASE = draw(8, 4, 8, 8)
DATA = [BASE, 2 * BASE[::-1].copy()]
W, V, B = draw(4, 4, 3, 3) / 3, draw(4, 4, 3, 3, seed=1) / 3, draw(4, seed=2)
PADS = "pads=[1,1,1,1]"
BOUNDS = {"low": np.array(0, np.float32), "six": np.array(1.5, np.float32)}
Constants = dict[str, NDArray[Any]]
BODIES: dict[str, tuple[str, Constants]] = {
    "convolution": (f"y = Conv<{PADS}>(x, w, b)", {}),
    "relu": (f"c = Conv<{PADS}>(x, w, b) r = Relu(c) y = Conv<{PADS}>(r, v)", {}),
    "relu6": (f"c = Conv<{PADS}>(x, w, b) r = Clip(c, low, six) y = Conv<{PADS}>(r, v, b)", BOUNDS),
    "sum": (f"c = Conv<{PADS}>(x, w, b) s = Add(c, x) r = Relu(s) y = Conv<{PADS}>(r, v)", {}),
    "pool": (f"c = Conv<{PADS}>(x, w) p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(c) y = Conv<{PADS}>(p, v, b)", {}),
    "concat": (
        f"c = Conv<{PADS}>(x, w) d = Conv<{PADS}>(x, v) j = Concat<axis=1>(c, d) y = Conv<group=2, {PADS}>(j, u)",
        {"u": draw(4, 4, 3, 3, seed=3)},
    ),
    "bounds on integers": (
        f"c = Conv<{PADS}>(x, w, b) p = MaxPool<kernel_shape=[2,2]>(c) r = Clip(p, low, six) y = Conv<{PADS}>(r, v)",
        BOUNDS,
    ),
    "depthwise": (f"c = Conv<group=4, {PADS}>(x, d) r = Relu(c) y = Conv<{PADS}>(r, v, b)", {"d": draw(4, 1, 3, 3)}),
    "gate": (
        f"c = Conv<{PADS}>(x, w, b) g = GlobalAveragePool(c) k = Conv(g, t) h = Sigmoid(k) m = Mul(c, h)"
        f" y = Conv<{PADS}>(m, v)",
        {"t": draw(4, 4, 1, 1)},
    ),
    "hard gate": (
        f"c = Conv<{PADS}>(x, w, b) g = GlobalAveragePool(c) k = Conv(g, t) h = HardSigmoid<alpha=0.1666667>(k)"
        f" m = Mul(c, h) y = Conv<{PADS}>(m, v)",
        {"t": draw(4, 4, 1, 1)},
    ),
    "product": (
        "f = MatMul(x, l) a = Add(f, n) y = MatMul(a, m)",
        {"l": draw(8, 6) / 3, "n": draw(6), "m": draw(6, 5) / 3},
    ),
    "gemm": ("f = Flatten(x) h = Gemm<transB=1>(f, m, n) r = Relu(h) y = Gemm(r, q)", {
        "m": draw(32, 256) / 16, "n": draw(32), "q": draw(32, 5) / 6,
    }),
    "heavy bias": (f"c = Conv<{PADS}>(x, e, h) r = Relu(c) y = Conv<{PADS}>(r, v, b)", {
        "e": W * 1e-9, "h": 1e3 * B,
    }),
    "shared weight": (f"c = Conv<{PADS}>(x, w, b) r = Relu(c) y = Conv<{PADS}>(r, w, b)", {}),
}  # fmt: skip
SCHEMES = [
    {"scheme": "qnnpack"},
    {"scheme": "fbgemm"},
    {"scheme": "fbgemm", "narrow": "weights"},
    {"scheme": "qnnpack", "weight_bits": {"c": 4, "y": 3}},
    {"scheme": "fbgemm", "narrow": "weights", "weight_bits": {"*": 4}},
]


def _model(body: str, constants: Constants) -> ir.Model:
    known: Constants = {"w": W, "v": V, "b": B, **constants}
    return graph(body, **{name: array for name, array in known.items() if f"{name})" in body or f"{name}," in body})


@pytest.mark.parametrize("options", SCHEMES, ids=str)
@pytest.mark.parametrize("body", BODIES)
def test_every_code_is_that_of_the_file(body: str, options: dict[str, Any]) -> None:
    lowering = lowering_of(_model(*BODIES[body]), *DATA, integer_entry=True, **options)
    found = code_differences(lowering.write(), FakeQuantized(lowering), {"x": DATA[0]})
    assert found
    assert max(each.largest for each in found) <= 1


@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
@given(st.sampled_from(sorted(BODIES)), st.sampled_from(SCHEMES), st.integers(0, 99), st.floats(0, 6))
def test_wherever_training_goes_the_file_follows(
    granularity: str, body: str, options: dict[str, Any], seed: int, moved: float
) -> None:
    lowering = lowering_of(_model(*BODIES[body]), *DATA, integer_entry=True, granularity=granularity, **options)
    network = FakeQuantized(lowering)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(moved * torch.randn(parameter.shape, generator=generator))
    learned = learned_lowering(lowering, network)
    written = learned.write()
    require_decided(written, learned)
    assert max(each.largest for each in code_differences(written, network, {"x": DATA[0]})) <= 1


def test_outputs_are_those_of_the_file() -> None:
    lowering = lowering_of(_model(*BODIES["relu"]), *DATA, scheme="qnnpack", integer_entry=True)
    (there,) = run_session(open_session(lowering.write(), ALL_CORES), {"x": DATA[0]})
    network = FakeQuantized(lowering, arrange=lambda outputs: {"answer": outputs[0]})
    with torch.no_grad():
        by_name, by_place = (network(x=torch.tensor(DATA[0]))["answer"], network(torch.tensor(DATA[0]))["answer"])
    np.testing.assert_allclose(by_name.numpy(), there, atol=1e-4)
    np.testing.assert_array_equal(by_name, by_place)


def test_nothing_moved_writes_the_same_file() -> None:
    lowering = lowering_of(_model(*BODIES["sum"]), *DATA, scheme="qnnpack", integer_entry=True)
    again = learned_lowering(lowering, FakeQuantized(lowering)).write()
    codes = [
        {name: value.const_value.numpy() for name, value in model.graph.initializers.items() if value.const_value}
        for model in (lowering.write(), again)
    ]
    assert codes[0].keys() == codes[1].keys()
    for name, array in codes[0].items():
        np.testing.assert_array_equal(array, codes[1][name])


def test_a_weight_that_two_layers_read_stays_one() -> None:
    lowering = lowering_of(_model(*BODIES["shared weight"]), *DATA, scheme="qnnpack", integer_entry=True)
    network = FakeQuantized(lowering)
    first, second = network.layers
    assert first.weight is second.weight
    assert len([*network.parameters()]) < 2 * len([*first.parameters()]) + len(network.steps)


def test_every_parameter_gets_a_gradient() -> None:
    lowering = lowering_of(_model(*BODIES["sum"]), *DATA, scheme="qnnpack", integer_entry=True)
    network = FakeQuantized(lowering)
    network(torch.tensor(DATA[0]))[0].square().mean().backward()
    still = [
        name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ]
    assert not still


def test_steps_of_seven_bits_stay() -> None:
    """A finer step would let codes out of 7 bits, and products saturate."""
    lowering = lowering_of(_model(*BODIES["relu"]), *DATA, scheme="fbgemm", integer_entry=True)
    assert not FakeQuantized(lowering).steps


def test_what_cannot_be_trained_is_named() -> None:
    model = _model(f"c = Conv<{PADS}>(x, w) l = LRN<size=3>(c) y = Conv<{PADS}>(l, v)", {})
    lowering = lowering_of(model, *DATA, integer_entry=True)
    with pytest.raises(ModelError, match=r"LRN 'l' has no form in PyTorch here; set quantization\.training=never"):
        FakeQuantized(lowering)
