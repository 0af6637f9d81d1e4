"""Calibration streams: two passes, a few samples at a time, whatever the size of the batches."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch

from edgecompress.calibration import Calibration, collect

from edgecompress.capture import capture
from edgecompress.data import Batch, Batches, InputNames
from edgecompress.errors import DataError
from edgecompress.exporters.onnx import to_onnx
from edgecompress.progress import Progress
from edgecompress.recipe import Export
from edgecompress.runtime import open_session
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
    one = _collect(model, [whole])
    monkeypatch.setattr(import_module("edgecompress.calibration.collect"), "RUN_BYTES", 1)  # a sample at a time
    many = _collect(model, list(torch.split(whole, 5)))
    for name, histogram in one.histograms.items():
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
    with pytest.raises(DataError, match="6 samples, then 4 on the second reading"):
        collect(model, _tensors(model), data, Progress())


def test_a_fixed_batch_size_is_kept() -> None:
    model = _export(Export(batch_size=4))
    assert _collect(model, [image for image, _ in images(rows=4, batches=2)]).samples == 8


def test_memory_does_not_grow_with_the_number_of_batches(model: ir.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    one_thread = partial(ThreadPoolExecutor, max_workers=1)  # how many threads hold a block at once is left to chance
    monkeypatch.setattr(import_module("edgecompress.calibration.collect"), "ThreadPoolExecutor", one_thread)

    def peak(batches: int) -> int:
        def source() -> Iterator[np.ndarray[Any, Any]]:
            generator = np.random.default_rng(0)
            return (generator.standard_normal((8, 3, 16, 16)).astype(np.float32) for _ in range(batches))

        data = Batches(role="calibration", source=source, inputs=NAMES)
        tracemalloc.start()
        collect(model, _tensors(model), data, Progress())
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(2)
    # Ten times the data; a tenth more is left for the interpreter's own noise, where keeping the data costs tenfold.
    assert peak(40) < 1.1 * peak(4)
