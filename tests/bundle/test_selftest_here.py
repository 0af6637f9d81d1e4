"""A self-test that will fail on this machine, and not on the target, is told of where the bundle is made."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edgecompress.bundle.selftest_here import doubt_of_self_test
from edgecompress.runtime import saturates

pytestmark = pytest.mark.arithmetic


def _product(weight: int) -> bytes:
    text = """<ir_version: 10, opset_import: ["" : 20]>
        m (uint8[N, 8] x) => (float[N, 16] y) { t = MatMulInteger(x, w) y = Cast<to = 1>(t) }"""
    model = onnx.parser.parse_model(text)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((8, 16), weight, np.int8), "w"))
    return bytes(model.SerializeToString())


def test_sums_that_saturate_here_and_not_there_are_told() -> None:
    inputs = {"x": np.full((2, 8), 255, np.uint8)}
    doubt = doubt_of_self_test(_product(127), inputs, "exact")
    assert (doubt is not None) == saturates()
    # A pair of products, 2 * 255 * 127, is cut to 2^15 - 1: and half of each sum is lost: 20 log10(64770 / 32003) dB.
    assert doubt is None or "here the artifact agrees to 6.1 dB with what it gives there" in doubt
    assert doubt_of_self_test(_product(127), inputs, "native") is None
    assert doubt_of_self_test(_product(63), inputs, "exact") is None
