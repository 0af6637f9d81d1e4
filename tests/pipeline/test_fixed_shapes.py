"""A dynamic dimension that cannot be fixed ends in a line before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import pytest

from edgecompress.cli import main
from edgecompress.errors import EdgecompressError
from edgecompress.pipeline.fixed_shapes import require_fixed_shapes
from edgecompress.recipe.elsewhere import Validation
from edgecompress.recipe.tables import Export, Recipe


def _model(dimensions: str) -> ir.Model:
    text = f'<ir_version: 10, opset_import: ["": 20]> m (float[{dimensions}] x) => (float[{dimensions}] y)'
    return ir.from_proto(onnx.parser.parse_model(text + "{ y = Relu(x) }"))


def _told(dimensions: str, device: str | None = "qnn:sm8650", **export: Any) -> str:
    recipe = Recipe(validation=Validation(device=device), export=Export(**export))
    try:
        require_fixed_shapes(_model(dimensions), recipe)
    except EdgecompressError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("dimensions", "device"),
    [("N,4", "qnn:sm8650"), ("1,4", "qnn:sm8650"), ("N,N", "qnn"), ("N,length", "openvino"), ("N,length", None)],
)
def test_a_batch_may_be_dynamic_and_anything_where_nothing_is_compiled(dimensions: str, device: str | None) -> None:
    assert _told(dimensions, device) == ""


def test_another_dynamic_dimension_of_the_model_is_named() -> None:
    assert _told("N,length") == (
        "input 'x' of the model has the dynamic dimension 'length', and 'qnn:sm8650' takes fixed shapes;"
        " export the model with a size in its place"
    )


def test_the_batch_is_where_the_recipe_says() -> None:
    assert _told("4,N", batch_axes={"x": 1}) == ""
    assert "'N'" in _told("N,M", batch_axes={"x": 1})


def test_a_dimension_that_the_recipe_makes_dynamic_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(ir.to_proto(_model("N,4")), tmp_path / "m.onnx")
    command = ["compress", str(tmp_path / "m.onnx"), "--target", "snapdragon", "--output", str(tmp_path / "bundle")]
    assert main([*command, "--set", "export.dynamic_axes.x.1=length"]) == 2
    assert capsys.readouterr().err == (
        "error: 'export.dynamic_axes.x' makes a dimension dynamic, and 'qnn:sm8650' takes fixed shapes; leave it out\n"
    )
    assert not (tmp_path / "bundle").exists()
