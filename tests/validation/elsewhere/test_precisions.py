"""A node is in integers where DequantizeLinear and QuantizeLinear enclose it."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from edgecompress.validation.elsewhere.precisions import precisions_of

BODY = """<ir_version: 10, opset_import: ["": 21]>
m (float[1,4] x) => (float[1,4] y, float[1,4] z)
<float s = {{0.1}}, {kind} p = {{0}}, int8[4,4] w = {{1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1}}, float t = {{0.1}},
 int8 o = {{0}}>
{{
    [q] xq = QuantizeLinear(x, s, p)
    [d] xd = DequantizeLinear(xq, s, p)
    [weight] wd = DequantizeLinear(w, t, o)
    [fc] f = MatMul(xd, wd)
    [fq] fqv = QuantizeLinear(f, s, p)
    [moved] r = Transpose<perm=[0,1]>(fqv)
    [fd] fdv = DequantizeLinear(r, s, p)
    [soft] z = Softmax(fdv)
    [open] o1 = Relu(x)
    [out] y = Add(o1, fdv)
}}"""


@pytest.mark.parametrize(("kind", "told"), [("uint8", "u8"), ("int8", "i8"), ("uint16", "u16")])
def test_what_is_enclosed_has_the_type_of_its_integers(tmp_path: Path, kind: str, told: str) -> None:
    onnx.save(onnx.parser.parse_model(BODY.format(kind=kind)), tmp_path / "model.onnx")
    assert precisions_of(tmp_path / "model.onnx") == {"fc": told, "moved": told, "soft": "", "open": "", "out": ""}


def test_a_zero_point_that_is_left_out_is_unsigned(tmp_path: Path) -> None:
    text = BODY.format(kind="uint8").replace("xq = QuantizeLinear(x, s, p)", "xq = QuantizeLinear(x, s)")
    onnx.save(onnx.parser.parse_model(text), tmp_path / "model.onnx")
    assert precisions_of(tmp_path / "model.onnx")["fc"] == "u8"


def test_a_zero_point_that_is_made_when_the_file_is_loaded_is_read(tmp_path: Path) -> None:
    text = BODY.format(kind="uint8").replace(
        "[q] xq", "shape = Constant<value_ints=[1]>() pp = ConstantOfShape<value: tensor = int8[1] {0}>(shape)\n[q] xq"
    )
    text = text.replace("QuantizeLinear(x, s, p)", "QuantizeLinear(x, s, pp)")
    onnx.save(onnx.parser.parse_model(text), tmp_path / "model.onnx")
    assert precisions_of(tmp_path / "model.onnx")["fc"] == "i8"
