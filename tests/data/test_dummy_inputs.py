"""Dummy inputs: of the declared shapes, and the same for files that take the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgecompress.arrays import TensorSpec
from edgecompress.data.dummy_inputs import (
    Specs,
    batch_dimension,
    common_specs,
    dummy_inputs,
    free_dimensions,
    input_specs,
)
from edgecompress.errors import ModelError
from edgecompress.runtime import open_session


def _specs(*shapes: tuple[int | str, ...], dtype: str = "float32") -> Specs:
    return tuple(TensorSpec(name=f"x{i}", dtype=np.dtype(dtype), shape=shape) for i, shape in enumerate(shapes))


def _session_specs(arguments: str, folder: Path) -> Specs:
    text = f'<ir_version: 8, opset_import: ["" : 13]> main ({arguments}) => (int64[1] y) {{ y = Shape<end = 1>(x) }}'
    path = folder / "model.onnx"
    path.write_bytes(onnx.parser.parse_model(text.replace("13", "15")).SerializeToString())
    return input_specs(open_session(path, 1))


@pytest.mark.parametrize(
    ("shapes", "batch"),
    [
        ([("time", "batch", 40), (2, "batch", 64)], "batch"),
        ([(), ("N", 3)], "N"),
        ([("rows", 3), ("rows", 5)], "rows"),
        ([(1, "time")], None),
        ([(1, "batch")], "batch"),
    ],
)
def test_the_batch_dimension_is_one_that_says_so_or_the_first(shapes: list[Any], batch: str | None) -> None:
    specs = _specs(*shapes)
    assert batch_dimension(specs) == batch
    made = dummy_inputs(specs, 7)
    assert all((7 in made[spec.name].shape) == (batch is not None and batch in spec.shape) for spec in specs)


def test_the_inputs_of_a_session(tmp_path: Path) -> None:
    specs = _session_specs("float[N,3,H] x, int64[N] i, bool[2] b", tmp_path)
    assert [(spec.name, str(spec.dtype), spec.shape) for spec in specs] == [
        ("x", "float32", ("N", 3, "H")),
        ("i", "int64", ("N",)),
        ("b", "bool", (2,)),
    ]
    assert batch_dimension(specs) == "N"
    assert free_dimensions(specs) == ("H",)


def test_dimensions_without_a_name_get_one(tmp_path: Path) -> None:
    specs = _session_specs("float[?,3,?] x, float[?,4] z", tmp_path)
    assert [spec.shape for spec in specs] == [("batch", 3, "x_2"), ("batch", 4)]
    assert {name: array.shape for name, array in dummy_inputs(specs, 5).items()} == {"x": (5, 3, 1), "z": (5, 4)}


def test_an_input_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"input 'x' is tensor\(string\)"):
        _session_specs("string[2] x", tmp_path)


def test_the_batch_is_that_dimension_wherever_it_stands() -> None:
    specs = (*_specs(("N", 3)), TensorSpec(name="h", dtype=np.dtype("int64"), shape=(2, "N", "T")))
    inputs = dummy_inputs(specs, 4)
    assert (inputs["x0"].shape, inputs["h"].shape) == ((4, 3), (2, 4, 1))
    assert inputs["x0"].dtype == np.float32
    assert abs(inputs["x0"]).min() > 0
    assert not inputs["h"].any()


def test_a_fixed_batch_is_no_batch_dimension() -> None:
    assert batch_dimension(_specs((8, 3), ("T",))) is None
    assert free_dimensions(_specs((8, 3), ("T",))) == ("T",)
    assert batch_dimension(()) is None
    assert dummy_inputs((), 1) == {}


def test_a_dimension_that_one_file_fixes_is_fixed() -> None:
    common = common_specs({"a": _specs(("N", 3, "H")), "b": _specs(("batch", 3, 32)), "c": _specs((1, 3, "h"))})
    assert common[0].shape == (1, 3, 32)


@pytest.mark.parametrize(
    "other", [_specs(("N", 4)), _specs(("N", 3), ("N",)), _specs(("N", 3, 3)), _specs(("N", 3), dtype="float64"), ()]
)
def test_files_with_other_inputs_are_refused(other: Specs) -> None:
    with pytest.raises(ModelError, match=r"^'b' takes .*, and 'a' x0: float32 \(N, 3\); give files that take"):
        common_specs({"a": _specs(("N", 3)), "b": other})
