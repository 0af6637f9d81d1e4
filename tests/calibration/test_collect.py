"""Calibration streams: two passes, a few samples at a time, whatever the size of the batches."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch

from edgecompress.calibration import Calibration, Extent, Histogram, collect
from edgecompress.data.batches import Batch, Batches, InputNames
from edgecompress.errors import DataError
from edgecompress.exporters.onnx import to_onnx
from edgecompress.modules.capture import capture
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Export
from edgecompress.runtime import open_session
from tests.exporters.graphs import draw
from tests.networks import ConvNet, images, seeded

NAMES = InputNames(names=("image",), required=1)


@pytest.fixture(scope="module")
def model() -> ir.Model:
    return _export(Export())


def _export(export: Export) -> ir.Model:
    example = Batch(inputs={"image": images(rows=4, batches=1)[0][0].numpy()})
    return to_onnx(capture(seeded(ConvNet), example, export), export)


def _tensors(model: ir.Model) -> list[str]:
    return ["image", *(str(node.outputs[0].name) for node in model.graph if node.op_type in ("Relu", "Gemm"))]


def _collect(model: ir.Model, batches: list[Any]) -> Calibration:
    data = Batches(role="calibration", source=lambda: batches, inputs=NAMES)
    return collect(model, _tensors(model), data, Progress())


def test_counts_and_extents_are_those_of_all_values(model: ir.Model) -> None:
    batches = [image for image, _ in images(rows=5, batches=3)]
    found = _collect(model, batches)
    whole = torch.cat(batches).numpy()
    assert found.samples == 15
    assert found.histograms["image"].counts.sum() == whole.size
    assert (found.histograms["image"].low, found.histograms["image"].high) == (whole.min(), whole.max())
    outputs = open_session(model, 1).run(None, {"image": whole})[0]
    last = found.histograms[str(model.graph.outputs[0].name)]
    assert (last.low, last.high) == (outputs.min(), outputs.max())


def test_the_cut_into_batches_does_not_matter(model: ir.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = torch.cat([image for image, _ in images(rows=6, batches=2)])
    made = _collect(model, [whole])
    monkeypatch.setattr(import_module("edgecompress.calibration.collect"), "RUN_BYTES", 1)  # a sample at a time
    many = _collect(model, list(torch.split(whole, 5)))
    for name, histogram in made.histograms.items():
        assert (histogram.low, histogram.high) == (many.histograms[name].low, many.histograms[name].high)
        assert (histogram.counts == many.histograms[name].counts).all()


def test_the_digest_tells_data_apart(model: ir.Model) -> None:
    batches = [image for image, _ in images(rows=2, batches=1)]
    changed = [batches[0].clone()]
    changed[0][0, 0, 0, 0] += 1
    assert _collect(model, batches).digest == _collect(model, batches).digest
    assert _collect(model, batches).digest != _collect(model, changed).digest


def test_data_that_does_not_repeat_itself_is_refused(model: ir.Model) -> None:
    reads = iter([3, 2])

    def source() -> Iterator[torch.Tensor]:
        return iter([image for image, _ in images(rows=2, batches=next(reads))])

    data = Batches(role="calibration", source=source, inputs=NAMES)
    told = r"^the calibration data gave 6 samples, then 4 on the second reading; it must repeat itself$"
    with pytest.raises(DataError, match=told):
        collect(model, _tensors(model), data, Progress())


def test_a_fixed_batch_size_is_kept() -> None:
    model = _export(Export(batch_size=4))
    assert _collect(model, [image for image, _ in images(rows=4, batches=2)]).samples == 8


SHAPE = (64, 3, 16, 16)


def test_memory_does_not_grow_with_the_number_of_batches(model: ir.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    one_thread = partial(ThreadPoolExecutor, max_workers=1)  # how many threads hold a block at once is left to chance
    monkeypatch.setattr(import_module("edgecompress.calibration.collect"), "ThreadPoolExecutor", one_thread)

    def peak(batches: int) -> int:
        def source() -> Iterator[np.ndarray[Any, Any]]:
            generator = np.random.default_rng(0)
            return (generator.standard_normal(SHAPE).astype(np.float32) for _ in range(batches))

        data = Batches(role="calibration", source=source, inputs=NAMES)
        gc.collect()  # what an earlier test left to the collector is no part of this
        tracemalloc.start()
        collect(model, _tensors(model), data, Progress())
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(2)
    # The interpreter's own noise is some 60 kB; 36 batches that were kept would be 7 MB, and their activations more.
    assert peak(40) - peak(4) < 36 * np.prod(SHAPE) * 4 / 10


def _network(body: str, inputs: str) -> ir.Model:
    """A graph with a weight ``w`` of shape (4, 6) and an output ``y``."""
    proto = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 20]> main ({inputs}) => (float[] y) {{ {body} }}'
    )
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    proto.graph.initializer.append(onnx.numpy_helper.from_array(draw(4, 6), "w"))
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def _plain(model: ir.Model, name: str, batch: dict[str, Any]) -> Any:
    """A value of the graph, by a session of its own."""
    watched = model.clone()
    watched.graph.outputs[:] = [value for node in watched.graph for value in node.outputs if value.name == name]
    return open_session(watched, 1).run(None, batch)[0]


RAGGED = {
    "batch first": "p = MatMul(x, w) y = Relu(p)",
    "sequence first": "t = Transpose<perm=[1,0,2]>(x) p = MatMul(t, w) y = Relu(p)",
    "flattened": "s = Constant<value_ints=[-1,4]>() f = Reshape(x, s) p = MatMul(f, w) y = Relu(p)",
}


@pytest.mark.parametrize("body", RAGGED)
def test_sequences_of_different_lengths_and_a_last_smaller_batch(body: str) -> None:
    model = _network(RAGGED[body], "float[N,T,4] x")
    data = [draw(rows, length, 4, seed=length) for rows, length in ((3, 5), (3, 2), (3, 9), (1, 4))]
    batches = Batches(role="calibration", source=lambda: data, inputs=InputNames(names=("x",), required=1))
    found = collect(model, ["x", "p", "y"], batches, Progress())
    samples = [batch[row : row + 1] for batch in data for row in range(len(batch))]
    assert found.samples == len(samples) == 10
    for name in ("p", "y"):
        ends = np.array(
            [(value.min(), value.max()) for value in (_plain(model, name, {"x": sample}) for sample in samples)]
        )
        statistics = found.statistics(name)
        assert statistics.histogram.counts.sum() == sum(sample.shape[1] * 6 for sample in samples)
        assert (statistics.histogram.low, statistics.histogram.high) == (ends[:, 0].min(), ends[:, 1].max())
        assert statistics.ends.samples == 10
        means = ends.astype(np.float64).mean(axis=0)
        assert (statistics.ends.mean_low, statistics.ends.mean_high) == pytest.approx(means, rel=1e-6, abs=1e-7)


def test_several_inputs_are_cut_together() -> None:
    model = _network("a = MatMul(x, w) b = MatMul(z, w) y = Add(a, b)", "float[N,4] x, float[N,4] z")
    data = [(draw(rows, 4, seed=rows), draw(rows, 4, seed=rows + 9)) for rows in (7, 7, 2)]
    batches = Batches(role="calibration", source=lambda: data, inputs=InputNames(names=("x", "z"), required=2))
    found = collect(model, ["x", "z", "y"], batches, Progress())
    for name, index in (("x", 0), ("z", 1)):
        whole = np.concatenate([pair[index] for pair in data])
        assert (found.histograms[name].counts == Histogram.empty(Extent.of(whole)).add(whole).counts).all()
    assert found.histograms["y"].counts.sum() == 16 * 6
