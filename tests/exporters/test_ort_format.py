"""``model.ort`` gives the outputs of ``model.onnx`` bit for bit, and the same artifact gives the same file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import edgecompress
from edgecompress.bundle.draft import open_draft
from edgecompress.bundle.revalidation import revalidate
from edgecompress.errors import EdgecompressError, ParityError
from edgecompress.exporters.kernel_types import read_kernel_types
from edgecompress.exporters.ort_format import check_same_bits, run_portable, same_bits, to_ort
from edgecompress.progress import Progress
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph
from tests.networks import ResidualNet, images, seeded

CONV = to_bytes(graph("y = Conv(x, w)", w=draw(8, 4, 3, 3)))
LSTM = to_bytes(
    graph(
        "f = Flatten(x) s = Unsqueeze(f, axes) y, h, c = LSTM<hidden_size=3>(s, w, r)",
        axes=np.array([1]),
        w=draw(1, 12, 256),
        r=draw(1, 12, 3),
    )
)
DYNAMIC = to_bytes(graph("f = Flatten(x) q, s, z = DynamicQuantizeLinear(f) y = DequantizeLinear(q, s, z)"))
FLOAT = to_bytes(graph("c = Conv(x, w) r = Relu(c) p = GlobalAveragePool(r) y = Flatten(p)", w=draw(8, 4, 3, 3)))


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("ort") / "bundle"
    quick = ("export.simplify=false", "cpu.runs=10", "quantization.adaround=false")
    return edgecompress.compress(seeded(ResidualNet), calibration=images(), output=output, overrides=quick).path


def test_integer_outputs_are_the_same_bits_in_sessions_as_anybody_opens_them(quantized: Path) -> None:
    x = images(rows=5, batches=1, seed=7)[0][0].numpy()
    onnx_file, ort_file = (
        onnxruntime.InferenceSession(quantized / name).run(None, {"image": x}) for name in ("model.onnx", "model.ort")
    )
    assert same_bits(onnx_file, ort_file)


@pytest.mark.parametrize("artifact", [CONV, LSTM, DYNAMIC, FLOAT], ids=["conv", "lstm", "dynamic", "float"])
def test_float_outputs_are_the_same_bits_without_the_layouts_of_x86(artifact: bytes) -> None:
    x = {"x": draw(3, 4, 8, 8)}
    converted = to_ort(artifact)
    assert same_bits(run_portable(artifact, x), run_portable(converted, x))
    check_same_bits(artifact, converted, x)


def test_integer_kernels_are_in_it_and_no_layout_of_x86(quantized: Path) -> None:
    operators = set(read_kernel_types((quantized / "model.ort").read_bytes()))
    assert {"com.microsoft:QLinearConv:1", "com.microsoft:QLinearAdd:1", "com.microsoft:QGemm:1"} <= operators
    assert not any(name.startswith("com.microsoft.nchwc:") for name in operators)
    assert not any(name.startswith("com.microsoft.nchwc:") for name in read_kernel_types(to_ort(FLOAT)))


def test_every_process_writes_the_same_bytes(quantized: Path) -> None:
    # The seed of ONNX Runtime's hash tables is another one in each process.
    code = "import sys; from edgecompress.exporters.ort_format import to_ort; p = sys.argv[1]; o = open(p, 'rb').read()"
    code += "; sys.stdout.buffer.write(to_ort(o))"
    artifact = quantized / "model.onnx"
    done = subprocess.run([sys.executable, "-c", code, str(artifact)], capture_output=True, check=True)
    assert done.stdout == (quantized / "model.ort").read_bytes() == to_ort(artifact.read_bytes())


def test_what_onnx_runtime_cannot_write_is_one_line() -> None:
    with pytest.raises(EdgecompressError, match="cannot be written in ORT format: ") as caught:
        to_ort(b"no model")
    assert "\n" not in str(caught.value)


def test_other_outputs_are_refused() -> None:
    other = to_ort(to_bytes(graph("y = Conv(x, w)", w=np.nextafter(draw(8, 4, 3, 3), np.float32(9)))))
    with pytest.raises(ParityError, match=r"model\.ort answers differently from model\.onnx"):
        check_same_bits(CONV, other, {"x": draw(3, 4, 8, 8)})


def test_a_bundle_whose_formats_disagree_does_not_validate(quantized: Path, tmp_path: Path) -> None:
    files = {name: (quantized / name).read_bytes() for name in edgecompress.read_bundle(quantized).manifest.files}
    model = onnx.load(quantized / "model.onnx")
    steps = {node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    scale = next(each for each in model.graph.initializer if each.name in steps)
    scale.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(scale) * 2, scale.name))
    files["model.ort"] = to_ort(model.SerializeToString())
    with open_draft(tmp_path / "bundle", overwrite=False) as draft:
        forged = draft.finish(files, edgecompress.read_bundle(quantized).manifest).path
    options: dict[str, Any] = {"evaluation": None, "original": None, "on": (), "progress": Progress()}
    assert revalidate(quantized, {}, **options).rows
    with pytest.raises(ParityError, match=r"model\.ort answers differently from model\.onnx"):
        revalidate(forged, {}, **options)


def test_zeros_of_another_sign_and_another_dtype_are_no_same_bits() -> None:
    zero = np.zeros(2, np.float32)
    assert same_bits([zero], [zero.copy()])
    assert not same_bits([zero], [-zero])
    assert not same_bits([zero], [zero.astype(np.int32)])
    assert not same_bits([zero], [zero.reshape(1, 2)])
    assert not same_bits([zero], [])
