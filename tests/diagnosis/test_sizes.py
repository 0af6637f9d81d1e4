"""Sizes are the bytes of the constants of each layer."""

from __future__ import annotations

from edgecompress.diagnosis.sizes import compare_sizes
from edgecompress.progress import Progress
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from tests.diagnosis.quantized import BATCHES, TWO_LAYERS
from tests.exporters.graphs import draw, graph


def test_int8_weights_take_a_quarter() -> None:
    artifact = quantize_static(TWO_LAYERS, Quantization(scheme="qnnpack"), BATCHES, Progress()).model
    found = {size.layer: size for size in compare_sizes(TWO_LAYERS, artifact)}
    assert {name: each.original_bytes for name, each in found.items()} == {"a": 4 * 288, "y": 4 * 288}
    assert {name: each.compressed_bytes for name, each in found.items()} == {"a": 288, "y": 288}


def test_layers_that_went_or_came_have_no_bytes_on_the_other_side() -> None:
    other = graph("b = Conv<pads=[1,1,1,1]>(x, w) y = Relu(b)", w=draw(8, 4, 3, 3))
    found = {size.layer: (size.original_bytes, size.compressed_bytes) for size in compare_sizes(TWO_LAYERS, other)}
    assert found == {"a": (1152, 0), "y": (1152, 0), "b": (0, 1152)}
