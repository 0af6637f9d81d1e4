"""A float graph of two layers, and the data that it is quantized and diagnosed with."""

from __future__ import annotations

from edgecompress.data.batches import Batch, Batches, InputNames
from tests.exporters.graphs import draw, graph

TWO_LAYERS = graph(
    "a = Conv<pads=[1,1,1,1]>(x, w) r = Relu(a) y = Conv<pads=[1,1,1,1]>(r, w2)",
    w=draw(8, 4, 3, 3, seed=1),
    w2=draw(4, 8, 3, 3, seed=2),
)
BATCH = Batch(inputs={"x": draw(40, 4, 8, 8, seed=3)})
BATCHES = Batches(role="calibration", source=lambda: [BATCH.inputs["x"]], inputs=InputNames(names=("x",), required=1))
