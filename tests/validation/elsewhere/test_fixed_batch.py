"""A file with a dynamic batch runs a sample at a time, with the same outputs; other dynamic dimensions are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecompress.arrays import Inputs
from edgecompress.errors import EdgecompressError
from edgecompress.runtime import open_session
from edgecompress.validation.elsewhere.fixed_batch import fix_batch
from tests.exporters.graphs import draw


def _write(path: Path, signature: str, body: str) -> Path:
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 20]> m {signature} {{ {body} }}')
    onnx.save(model, path / "model.onnx")
    return path / "model.onnx"


def test_samples_by_themselves_give_the_outputs_of_the_batches(tmp_path: Path) -> None:
    signature = "(float[batch,4] x, int64[2,batch] k) => (float[batch,4] y, float[2,batch] z)"
    model = _write(tmp_path, signature, "y = Relu(x) z = Cast<to=1>(k)")
    batches: list[Inputs] = [{"x": draw(rows, 4), "k": np.arange(2 * rows).reshape(2, rows)} for rows in (3, 1)]
    session = open_session(model, 1)
    expected = [dict(zip(("y", "z"), session.run(None, batch), strict=True)) for batch in batches]

    samples = fix_batch(model)
    fixed = open_session(model, 1)
    assert [spec.shape for spec in (*fixed.get_inputs(), *fixed.get_outputs())] == [[1, 4], [2, 1], [1, 4], [2, 1]]
    split = samples.split(batches)
    assert len(split) == 4
    joined = samples.join(batches, [dict(zip(("y", "z"), fixed.run(None, each), strict=True)) for each in split])
    for ours, wanted in zip(joined, expected, strict=True):
        for name, array in wanted.items():
            np.testing.assert_array_equal(ours[name], array)


def test_a_file_of_fixed_shapes_is_run_as_it_is(tmp_path: Path) -> None:
    model = _write(tmp_path, "(float[2,4] x) => (float[2,4] y)", "y = Relu(x)")
    samples, batches = fix_batch(model), [{"x": draw(2, 4, seed=seed)} for seed in range(3)]
    assert samples.batch is None
    assert [each["x"] is batch["x"] for each, batch in zip(samples.split(batches), batches, strict=True)] == [True] * 3
    outputs = [{"y": batch["x"]} for batch in batches]
    assert samples.join(batches, outputs) == outputs


def test_every_node_has_a_name_afterwards(tmp_path: Path) -> None:
    model = _write(tmp_path, "(float[n,4] x) => (float[n,4] y)", "h = Relu(x) y = Neg(h)")
    fix_batch(model)
    assert [node.name for node in onnx.load(model).graph.node] == ["Relu_0", "Neg_1"]


@pytest.mark.parametrize(
    ("signature", "told"),
    [
        (
            "(float[n,length] x) => (float[n,length] y)",
            "an NPU takes fixed shapes, and not dynamic 'length', 'n'; leave out 'export.dynamic_axes'",
        ),
        (
            "(float[1,length] x) => (float[1,length] y)",
            "an NPU takes fixed shapes, and not dynamic 'length'; leave out 'export.dynamic_axes'",
        ),
        (
            "(float[?,4] x, float[?,4] k) => (float[?,4] y)",
            "an NPU takes fixed shapes, and not dynamic 'k[0]', 'x[0]'; leave out 'export.dynamic_axes'",
        ),
        (
            "(float[n,4] x) => (float[m,4] y)",
            "output 'y' has no axis 'n', and cannot be put together from single samples; set 'export.batch_size'",
        ),
    ],
)
def test_what_cannot_be_fixed_is_told(tmp_path: Path, signature: str, told: str) -> None:
    with pytest.raises(EdgecompressError) as caught:
        fix_batch(_write(tmp_path, signature, "y = Relu(x)"))
    assert str(caught.value) == told
