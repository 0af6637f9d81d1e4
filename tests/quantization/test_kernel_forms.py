"""What ships has the forms that kernels are fast in, and says what the plain graph said."""

from __future__ import annotations

from collections import Counter

import numpy as np

from edgecompress.data.batches import Batch
from edgecompress.diagnosis.damage import measure_damage
from edgecompress.exporters.finish import fault_of
from edgecompress.quantization.fusion import optimized_graph, read_fusion
from edgecompress.quantization.kernel_forms import for_kernels
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph, run
from tests.quantization.lowerings import lowering_of

X = draw(8, 4, 8, 8)
MODEL = graph(
    "a = Conv(x, w) e = Relu(a) d = Conv<group=24, pads=[1,1,1,1]>(e, k) r = Relu(d) "
    "p = AveragePool<kernel_shape=[2,2], strides=[2,2]>(r) n = Conv(p, v) y = Relu(n)",
    w=draw(24, 4, 1, 1, seed=1),
    k=draw(24, 1, 3, 3, seed=2),
    v=draw(16, 24, 1, 1, seed=3),
)


def test_pools_are_convolved_and_their_channels_aligned() -> None:
    lowering = lowering_of(MODEL, X)
    shipped = for_kernels(lowering.write())
    assert fault_of(to_bytes(shipped)) is None
    kernels = Counter(node.op_type for node in optimized_graph(shipped))
    assert kernels == {"QuantizeLinear": 1, "QLinearConv": 4, "DequantizeLinear": 1}
    groups = {node.name: node.attributes.get_int("group", 1) for node in shipped.graph if node.op_type == "Conv"}
    assert groups == {"a": 1, "d": 32, "p": 32, "n": 1}
    fusion = read_fusion(MODEL, shipped, lowering.placement)
    assert (fusion.unfused, fusion.taken) == ((), ())
    assert fusion.integer["AveragePool"] == 1


def test_nothing_is_added_where_bytes_count_for_more() -> None:
    written = lowering_of(MODEL, X).write()
    small = for_kernels(written, small=True)
    groups = {node.name: node.attributes.get_int("group", 1) for node in small.graph if node.op_type == "Conv"}
    assert groups == {"a": 1, "d": 24, "p": 24, "n": 1}
    assert len(to_bytes(small)) < len(to_bytes(for_kernels(written)))


def test_the_damage_of_a_layer_is_that_of_the_channels_that_it_had() -> None:
    written = lowering_of(MODEL, X).write()
    batch = Batch(inputs={"x": X}, axes={"x": 0})
    plain, shipped = (measure_damage(MODEL, model, batch) for model in (written, for_kernels(written)))
    assert plain[:2] == shipped[:2]  # before the pool
    assert [each.layer for each in shipped] == ["a", "d", "n"]


def test_outputs_differ_by_the_rounding_of_means_only() -> None:
    written = lowering_of(MODEL, X).write()
    before, after = run(written, X), run(for_kernels(written), X)
    assert np.mean(before == after) > 0.9
