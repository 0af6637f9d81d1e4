"""What exporters declare wrongly is repaired where that is unambiguous, and told; the rest is refused by name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecompress.errors import ModelError
from edgecompress.exporters.finish import require_valid
from edgecompress.loading.onnx_files import read_onnx, repairs
from edgecompress.pipeline.plan import make_plan
from edgecompress.runtime import execute, signature
from edgecompress.system import onnx_sanitizer
from edgecompress.system.onnx_sanitizer import name_dimensions, with_true_shapes
from edgecompress.targets import load_profile

W = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
X = np.random.default_rng(1).standard_normal((3, 8)).astype(np.float32)
BODY = "h = MatMul(x, w) y = Relu(h)"


def _proto(
    declared: str = "float[N,4] y", given: str = "float[N,8] x", body: str = BODY, opset: int = 20, **more: NDArray[Any]
) -> onnx.ModelProto:
    text = f'<ir_version: 8, opset_import: ["" : {opset}]> m ({given}) => ({declared}) {{ {body} }}'
    proto = onnx.parser.parse_model(text)
    arrays = {"w": W, **more}
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    return proto


def _declare(value: onnx.ValueInfoProto, *sizes: int) -> None:
    for dimension, size in zip(value.type.tensor_type.shape.dim, sizes, strict=True):
        dimension.dim_value = size


def _saved(proto: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.parametrize("opset", [9, 11, 17])
@pytest.mark.parametrize("size", [-1, 0])
def test_sizes_below_1_are_dynamic_ones(tmp_path: Path, opset: int, size: int) -> None:
    proto = _proto(opset=opset)
    _declare(proto.graph.input[0], size, 8)
    _declare(proto.graph.output[0], size, 4)
    model = read_onnx(_saved(proto, tmp_path))
    assert [spec.shape for spec in signature(model)] == [("batch", 8)]
    np.testing.assert_allclose(execute(model, {"x": X})[0], np.maximum(X @ W, 0), rtol=1e-5)
    assert repairs(model) == ("input 'x': a size below 1 on axis 0 is read as a dynamic one",)


def test_dynamic_sizes_of_an_image_are_told_apart() -> None:
    proto = _proto(given="float[N,3,H,W] x", declared="float[N,3,H,W] y", body="y = Relu(x)")
    _declare(proto.graph.input[0], -1, 3, -1, -1)
    assert name_dimensions(proto) == ["input 'x': a size below 1 on axis 0, 2, 3 is read as a dynamic one"]
    (dimensions,) = [value.type.tensor_type.shape.dim for value in proto.graph.input]
    assert [size.dim_param or size.dim_value for size in dimensions] == ["batch", 3, "x_2", "x_3"]


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        (
            "float[N,4,1] y",
            r"output 'y' is declared as \(N, 4, 1\), but is \(N, 4\); this is repaired, you need do nothing",
        ),
        (
            "float[N,5] y",
            r"output 'y' is declared as \(N, 5\), but is \(N, 4\); this is repaired, you need do nothing",
        ),
    ],
)
def test_an_output_with_a_wrong_shape_has_that_of_its_operator(tmp_path: Path, declared: str, told: str) -> None:
    model = read_onnx(_saved(_proto(declared), tmp_path))
    (note,) = repairs(model)
    assert re.fullmatch(told, note)
    assert make_plan(model, load_profile("mobile")).warnings[0] == note
    (output,) = model.graph.outputs
    assert output.shape is not None
    assert [str(size) for size in output.shape] == ["N", "4"]
    np.testing.assert_allclose(execute(model, {"x": X})[0], np.maximum(X @ W, 0), rtol=1e-5)


def test_an_output_whose_shape_may_be_right_keeps_it_next_to_one_that_is_wrong(tmp_path: Path) -> None:
    proto = _proto(
        "float[N,5] y, float[N,2,4] z", given="float[N,8] x, int64[3] sizes", body=f"{BODY} z = Reshape(y, sizes)"
    )
    model = read_onnx(_saved(proto, tmp_path))
    require_valid(model)
    shapes = [[str(size) for size in output.shape or ()] for output in model.graph.outputs]
    assert shapes == [["N", "4"], ["N", "2", "4"]]


def test_a_wrong_shape_inside_is_left_out(tmp_path: Path) -> None:
    proto = _proto()
    proto.graph.value_info.append(onnx.helper.make_tensor_value_info("h", onnx.TensorProto.FLOAT, ["N", 4, 2]))
    model = read_onnx(_saved(proto, tmp_path))
    assert repairs(model) == ("shapes of inner values are declared wrongly: h; this is repaired, you need do nothing",)


@given(st.lists(st.integers(-1, 5), max_size=4), st.lists(st.integers(-1, 5), max_size=4), st.sampled_from([9, 13, 20]))
def test_whatever_is_declared_the_true_shapes_come_out(inner: list[int], outer: list[int], opset: int) -> None:
    proto = _proto(opset=opset)
    for value, sizes in ((proto.graph.output[0], outer), (proto.graph.value_info.add(name="h"), inner)):
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name or "h", onnx.TensorProto.FLOAT, sizes))
    name_dimensions(proto)
    repaired, notes = with_true_shapes(proto)
    found = onnx.shape_inference.infer_shapes(repaired, strict_mode=True).graph
    shapes = {value.name: value.type.tensor_type.shape.dim for value in (*found.output, *found.value_info)}
    assert [[size.dim_param or size.dim_value for size in shapes[name]][1] for name in ("h", "y")] == [4, 4]
    is_true = [len(sizes) == 2 and sizes[0] != 0 and sizes[1] in (4, -1, 0) for sizes in (inner, outer)]
    assert all(is_true) == (not notes)


def test_a_wrong_shape_next_to_a_sequence_is_left_out_all_the_same(tmp_path: Path) -> None:
    body = "h = MatMul(x, w) y = Relu(h) z = SplitToSequence<axis = 1>(h)"
    path = _saved(_proto("float[N] y, seq(float[N,4]) z", body=body), tmp_path)
    assert repairs(read_onnx(path)) == (
        "output 'y' is declared as (N), but is (N, 4); this is repaired, you need do nothing",
    )


def test_operators_that_contradict_one_another_are_refused_in_one_line(tmp_path: Path) -> None:
    path = _saved(_proto(body="h = MatMul(x, w) y = MatMul(h, w)"), tmp_path)
    with pytest.raises(ModelError) as caught:
        read_onnx(path)
    told = r"'.*' is not a valid ONNX model: \[ShapeInferenceError\].*MatMul.*; export it again"
    assert re.fullmatch(told, str(caught.value))


def test_weights_that_were_inputs_do_not_stop_an_upgrade_of_a_file_with_sizes_of_minus_1(tmp_path: Path) -> None:
    proto = _proto(opset=11)
    proto.ir_version = 3
    _declare(proto.graph.input[0], -1, 8)
    proto.graph.input.append(onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, W.shape))
    assert [spec.shape for spec in signature(read_onnx(_saved(proto, tmp_path)))] == [("batch", 8)]


def test_an_upgrade_that_nothing_could_be_compared_on_says_so(tmp_path: Path) -> None:
    proto = _proto(
        given="float[N,8] x", body="s = Reshape(x, shape) y = MatMul(s, w)", opset=11, shape=np.array([7, 8])
    )
    model = read_onnx(_saved(proto, tmp_path))
    assert repairs(model) == ("opset 11 is upgraded to 18 unseen: the model does not run on made-up inputs",)


CRASHES = """
import ctypes
import onnx, onnx.checker, onnx.shape_inference, onnx.version_converter

def crash(*_, **__):
    ctypes.string_at(0)

{what} = crash
"""


@pytest.mark.parametrize(
    ("what", "stage"),
    [
        ("onnx.checker.check_model", "onnx's checker"),
        ("onnx.shape_inference.infer_shapes", "onnx's shape inference"),
        ("onnx.version_converter.convert_version", "onnx's version converter"),
    ],
)
def test_a_crash_in_native_code_is_one_line(
    contained: None, tmp_path: Path, what: str, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(CRASHES.format(what=what))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = _saved(_proto(opset=11), tmp_path)
    with pytest.raises(ModelError) as caught:
        read_onnx(path)
    assert str(caught.value) == (
        f"{str(path)!r} breaks {stage}: it was ended by signal 11 (SIGSEGV); export it again, or in other operators"
    )


def test_a_child_reads_what_this_process_would(contained: None, tmp_path: Path) -> None:
    proto = _proto("float[N,4,1] y", opset=11)
    _declare(proto.graph.input[0], -1, 8)
    model = read_onnx(_saved(proto, tmp_path))
    assert len(repairs(model)) == 2
    np.testing.assert_allclose(execute(model, {"x": X})[0], np.maximum(X @ W, 0), rtol=1e-5)


def test_the_script_needs_nothing_of_the_package() -> None:
    path = str(Path(onnx_sanitizer.__file__))
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys, runpy; runpy.run_path({path!r}); assert 'torch' not in sys.modules"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


COMPUTED = """
    h = MatMul(x, w)
    given = Shape(x)
    rows = Slice(given, zero, one)
    sizes = Concat<axis=0>(rows, two, two)
    less = Neg(sizes)
    asked = Neg(less)
    y = Reshape(h, asked)
"""
"""Two by two numbers for each row, in a shape that inference does not compute."""
NUMBERS: dict[str, Any] = {"zero": np.array([0]), "one": np.array([1]), "two": np.array([2])}


@pytest.mark.parametrize(
    ("declared", "given", "true", "shape"),
    [
        ("N,2,3", "N", "was (N, 2, 2) in a trial run", ("N", 2, None)),
        ("1,2,3", "1", "was (1, 2, 2) in a trial run", (1, 2, None)),
        ("2,2,2", "1", "was (1, 2, 2) in a trial run", (None, 2, 2)),
        ("1,2,2", "N", "was (N, 2, 2) in a trial run", ("N", 2, 2)),
        ("N,4", "N", "is (?, ?, ?)", ("unk__0", "unk__1", "unk__2")),
    ],
)
def test_a_shape_that_only_a_run_contradicts_is_left_out(
    tmp_path: Path, declared: str, given: str, true: str, shape: tuple[int | str | None, ...]
) -> None:
    model = read_onnx(_saved(_proto(f"float[{declared}] y", f"float[{given},8] x", COMPUTED, **NUMBERS), tmp_path))
    told = declared.replace(",", ", ")
    assert repairs(model) == (f"output 'y' is declared as ({told}), but {true}; this is repaired, you need do nothing",)
    assert [size if isinstance(size, int) else size.value for size in model.graph.outputs[0].shape or ()] == [*shape]


def test_a_true_shape_that_nobody_can_prove_stays(tmp_path: Path) -> None:
    model = read_onnx(_saved(_proto("float[N,2,2] y", "float[N,8] x", COMPUTED, **NUMBERS), tmp_path))
    assert not repairs(model)
    assert str(model.graph.outputs[0].shape) == "[N,2,2]"


def test_a_value_inside_that_only_a_run_contradicts_is_left_out(tmp_path: Path) -> None:
    proto = _proto("float[N,K,L] z", "float[N,8] x", COMPUTED + "z = Relu(y)", **NUMBERS)
    proto.graph.value_info.append(onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 2, 5]))
    model = read_onnx(_saved(proto, tmp_path))
    assert repairs(model) == ("shapes of inner values are declared wrongly: y; this is repaired, you need do nothing",)
    assert str(model.graph.outputs[0].shape) == "[N,K,L]"


def test_an_entry_for_a_value_that_is_gone_hides_no_wrong_shape(tmp_path: Path) -> None:
    proto = _proto("float[N,2,3] y", "float[N,8] x", COMPUTED, **NUMBERS)
    proto.graph.value_info.append(onnx.helper.make_tensor_value_info("gone", onnx.TensorProto.FLOAT, ["N", 2, 5]))
    model = read_onnx(_saved(proto, tmp_path))
    assert repairs(model) == (
        "output 'y' is declared as (N, 2, 3), but was (N, 2, 2) in a trial run; this is repaired, you need do nothing",
    )


@pytest.mark.parametrize(("declared", "shape"), [("N,5", ["N", None]), ("N,4,1", [None, None]), ("1,4", ["N", 4])])
def test_an_operator_of_another_domain_tells_its_shape_when_it_runs(
    tmp_path: Path, declared: str, shape: list[int | str | None]
) -> None:
    proto = _proto(f"float[{declared}] y", body="h = MatMul(x, w) y = com.microsoft.Gelu(h)")
    proto.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    model = read_onnx(_saved(proto, tmp_path))
    assert len(repairs(model)) == 1
    assert [size if isinstance(size, int) else size.value for size in model.graph.outputs[0].shape or ()] == shape
    assert signature(model)[0].shape == ("N", 8)
