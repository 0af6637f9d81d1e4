"""Benchmark: the slower file is called slower."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir
import pytest

from edgecompress.errors import ModelError
from edgecompress.progress import Progress
from edgecompress.runtime import to_bytes
from edgecompress.timing.benchmark import Timed, benchmark
from tests.exporters.graphs import draw, graph


@pytest.fixture(autouse=True)
def _no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """What memory costs to measure is paid in its own tests."""
    monkeypatch.setattr("edgecompress.timing.benchmark.session_bytes", lambda *_: 7)


def _run(
    *files: Path, runs: int = 10, batch_sizes: tuple[int, ...] = (), progress: Progress | None = None
) -> list[Timed]:
    return benchmark(files, threads=1, runs=runs, batch_sizes=batch_sizes, progress=progress or Progress())


def _file(folder: Path, name: str, layers: int) -> Path:
    chain = " ".join(f"h{i + 1} = Conv<pads=[1,1,1,1]>(h{i}, w)" for i in range(layers))
    body = f"h0 = Identity(x) {chain} y = Relu(h{layers})"
    path = folder / name
    path.write_bytes(to_bytes(graph(body, w=draw(4, 4, 3, 3))))
    return path


def _parsed(folder: Path, arguments: str, body: str) -> Path:
    path = folder / "parsed.onnx"
    text = f'<ir_version: 8, opset_import: ["" : 15]> main ({arguments}) => (float y) {{ {body} }}'
    model = onnx.parser.parse_model(text)
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    path.write_bytes(model.SerializeToString())
    return path


def test_thirty_layers_are_slower_than_one(tmp_path: Path) -> None:
    made, thirty = _file(tmp_path, "one.onnx", 1), _file(tmp_path, "thirty.onnx", 30)
    first, second = _run(made, thirty, runs=30)
    assert first.ratio.verdict == "no difference"
    assert (first.ratio.low, first.ratio.value, first.ratio.high) == (1, 1, 1)
    assert second.ratio.verdict == "slower"
    assert second.ratio.low <= second.ratio.value <= second.ratio.high < 1
    assert (second.size_bytes, second.memory_bytes, second.batch_size) == (thirty.stat().st_size, 7, 1)


def test_weights_that_lie_next_to_a_file_count_with_it(tmp_path: Path) -> None:
    whole, parted = _file(tmp_path, "whole.onnx", 4), tmp_path / "parted.onnx"
    onnx.save(onnx.load(whole), parted, save_as_external_data=True, location="weights", size_threshold=0)
    first, second = _run(whole, parted)
    assert first.size_bytes == whole.stat().st_size
    assert second.size_bytes == parted.stat().st_size + (tmp_path / "weights").stat().st_size


def test_each_batch_size_has_its_rows(tmp_path: Path) -> None:
    file = _file(tmp_path, "one.onnx", 1)
    rows = _run(file, file, batch_sizes=(16, 1, 16))
    assert [row.batch_size for row in rows] == [16, 16, 1, 1]
    assert rows[0].latency.median_ms > rows[2].latency.median_ms


def test_a_fixed_batch_takes_no_other_size(tmp_path: Path) -> None:
    fixed = _parsed(tmp_path, "float[2,3] x", "y = Relu(x)")
    assert [row.batch_size for row in _run(fixed)] == [2]
    assert [row.batch_size for row in _run(fixed, batch_sizes=(2,))] == [2]
    with pytest.raises(ModelError) as caught:
        _run(fixed, batch_sizes=(2, 8))
    assert str(caught.value) == (
        f"the batch size of {str(fixed)!r} is fixed at 2; leave --batch-size out, or export with a dynamic batch"
    )


def test_dimensions_that_nobody_knows_are_told(tmp_path: Path) -> None:
    told: list[str] = []

    class Told(Progress):
        def warn(self, line: str) -> None:
            told.append(line)

    _run(_parsed(tmp_path, "float[N,T] x", "y = Relu(x)"), progress=Told())
    assert told == ["dynamic dimensions other than the batch are timed as 1: T"]


def test_a_file_that_does_not_run_on_made_up_inputs_is_named(tmp_path: Path) -> None:
    file = _parsed(tmp_path, "float[N,T] x", "s = Constant<value_ints = [1, 7]>() y = Reshape(x, s)")
    told = r"parsed\.onnx' does not run on made-up inputs \(x \(1, 1\)\): .*; export it with fixed shapes$"
    with pytest.raises(ModelError, match=told):
        _run(file)


def test_a_file_that_onnx_runtime_does_not_take_is_refused(tmp_path: Path) -> None:
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    told = r"^'.*junk\.onnx': ONNX Runtime refuses the model: .*; export it again, or in other operators$"
    with pytest.raises(ModelError, match=told):
        _run(tmp_path / "junk.onnx")


def test_files_with_other_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^'.*' takes .*, and '.*' .*; give files that take the same inputs$"):
        _run(_file(tmp_path, "one.onnx", 1), _parsed(tmp_path, "float[N,3] x", "y = Relu(x)"))


@pytest.mark.parametrize(("content", "words"), [(None, "does not exist"), (b"garbage", "ONNX Runtime refuses")])
def test_a_file_that_cannot_be_timed_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"model\.onnx.*{words}"):
        _run(path)


def test_a_folder_cannot_be_timed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is a folder; give a file in it, .*/model\.onnx for a bundle"):
        _run(tmp_path)


def test_weights_next_to_the_file_are_found(tmp_path: Path) -> None:
    ir.save(
        graph("y = Conv<pads=[1,1,1,1]>(x, w)", w=draw(4, 4, 3, 3)), tmp_path / "model.onnx", external_data="weights"
    )
    assert (tmp_path / "weights").stat().st_size >= 4 * 4 * 3 * 3 * 4
    (row,) = _run(tmp_path / "model.onnx")
    assert row.latency.median_ms > 0
