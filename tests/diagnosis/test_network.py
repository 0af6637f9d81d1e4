"""The network as it runs: operators in order, with what they read, of what kind, and for how long."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from edgecompress.diagnosis.network import draw_network
from edgecompress.progress import Progress
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import to_bytes
from tests.diagnosis.quantized import BATCH, BATCHES, TWO_LAYERS
from tests.exporters.graphs import draw


def test_a_float_model_is_drawn_in_its_order() -> None:
    found = draw_network(to_bytes(TWO_LAYERS), BATCH.sample(1).inputs, threads=1)
    assert {each.numbers for each in found} == {"float"}
    assert sum("Conv" in each.operator for each in found) == 2
    assert found[0].reads == ()
    assert all(each.reads == (place - 1,) for place, each in enumerate(found[1:], 1))


def test_integers_begin_and_end_with_a_conversion() -> None:
    artifact = quantize_static(TWO_LAYERS, Quantization(scheme="qnnpack"), BATCHES, Progress()).model
    found = draw_network(to_bytes(artifact), BATCH.sample(1).inputs, threads=1)
    kinds = [each.numbers for each in found]
    assert (kinds[0], kinds[-1]) == ("conversion", "conversion")
    assert [each.operator for each in found].count("QLinearConv") == 2
    assert all(each.numbers == "integer" for each in found if each.operator == "QLinearConv")
    assert all(each.shape[0] == 1 for each in found)


def test_shares_are_parts_of_the_whole() -> None:
    shares = [each.share for each in draw_network(to_bytes(TWO_LAYERS), BATCH.sample(1).inputs, threads=1)]
    assert 0 < sum(share or 0.0 for share in shares) <= 1 + 1e-9


def test_a_residual_is_read_by_the_sum_behind_it() -> None:
    model = ir.from_onnx_text(
        """<ir_version: 10, opset_import: ["" : 20]> m (float[n,4,6,6] x) => (float[n,4,6,6] y)
        <float[4,4,3,3] v, float[4,4,3,3] w> {
          a = Conv<pads=[1,1,1,1]>(x, v) b = Conv<pads=[1,1,1,1]>(a, w) y = Add(a, b) }"""
    )
    for name in ("v", "w"):
        value = ir.Value(name=name, const_value=ir.tensor(draw(4, 4, 3, 3), name=name))
        model.graph.register_initializer(value)
        for node in model.graph:
            for place, read in enumerate(node.inputs):
                if read is not None and read.name == name:
                    node.replace_input_with(place, value)
    found = draw_network(to_bytes(model), {"x": draw(1, 4, 6, 6)}, threads=1)
    assert [each.reads for each in found] in ([(), (0,), (0, 1)], [(), (0,)])  # the sum may be fused into the second
    assert found[0].shape == (1, 4, 6, 6)
    assert found[1].reads[0] == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_every_operator_has_a_name_of_its_own(threads: int) -> None:
    found = draw_network(to_bytes(TWO_LAYERS), BATCH.sample(1).inputs, threads=threads)
    names = [each.layer for each in found]
    assert len(set(names)) == len(names)
    assert all(names)
