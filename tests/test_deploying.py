"""The snippets of the page on deploying: Python's runs, and the workflow calls the command as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from edgecompress.arrays import Array
from edgecompress.exporters.byte_input import take_bytes
from edgecompress.exporters.finish import compact
from edgecompress.exporters.model_metadata import model_metadata, write_metadata
from edgecompress.exporters.pixels import Layout, Pixels
from edgecompress.recipe.tables import parse_recipe

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "deploying.md").read_text()


def _snippet(language: str) -> str:
    """The first snippet in a language."""
    found, *_ = re.findall(rf"^```{language}.*?\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def _fed() -> Callable[[ort.InferenceSession, NDArray[np.uint8]], Array]:
    """The function of the page that feeds files."""
    names: dict[str, Any] = {"np": np}
    (text,) = re.findall(r"^```python\n(def fed.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(text, names)
    function: Callable[[ort.InferenceSession, NDArray[np.uint8]], Array] = names["fed"]
    return function


def test_the_python_snippet_prints_the_top_class(tmp_path: Path) -> None:
    text = '<ir_version: 10, opset_import: ["" : 20]> m (float[batch,1,32,32] x) => (float[batch,10] output)'
    model = onnx.parser.parse_model(f"{text} {{ p = GlobalAveragePool(x) f = Flatten(p) output = Gemm(f, w, b) }}")
    bias = np.arange(10, dtype=np.float32) % 8  # the highest is the eighth
    constants = {"w": np.ones((1, 10), np.float32), "b": bias}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items())
    onnx.save(model, tmp_path / "model.onnx")
    command = [sys.executable, "-c", _snippet("python")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")
    onnx.helper.set_model_props(model, {"classes": "\n".join("abcdefghij")})
    onnx.save(model, tmp_path / "model.onnx")
    assert subprocess.check_output(command, cwd=tmp_path, text=True) == "h\n"
    onnx.helper.set_model_props(model, {"classes": "\n".join(["a\u2028b", *"bcdefghij"])})  # from another program
    onnx.save(model, tmp_path / "model.onnx")
    assert subprocess.check_output(command, cwd=tmp_path, text=True) == "h\n"


@pytest.mark.parametrize("own", ["nchw", "nhwc"])
@pytest.mark.parametrize("scaled", [True, False])
def test_one_function_feeds_files_of_floats_and_of_bytes(own: Layout, scaled: bool) -> None:
    pixels = Pixels(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4), scaled=scaled, layout="nhwc", own=own)
    shape = "1,3,8,9" if own == "nchw" else "1,8,9,3"
    text = f'<ir_version: 10, opset_import: ["" : 20]> m (float[{shape}] x) => (float[{shape}] y) {{ y = Identity(x) }}'
    model, picture = onnx.parser.parse_model(text), np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    layout = "channels_last" if own == "nhwc" else "channels_first"
    images = {"mean": pixels.mean, "std": pixels.std, "scaled": scaled, "layout": layout}
    sample = np.zeros(tuple(map(int, shape.split(","))), np.float32)
    write_metadata(model, model_metadata(parse_recipe({"images": images}), {"x": sample}))
    floats = model.SerializeToString()
    fed = _fed()
    for file in (floats, compact(take_bytes(floats, pixels).model)):
        session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"x": fed(session, picture)})
        assert np.array_equal(found, pixels.normalized(picture[np.newaxis]))


def test_a_file_that_tells_of_no_pictures_is_not_fed() -> None:
    text = '<ir_version: 10, opset_import: ["" : 20]> m (float[1,8,9,3] x) => (float[1,8,9,3] y) { y = Identity(x) }'
    session = ort.InferenceSession(
        onnx.parser.parse_model(text).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    with pytest.raises(ValueError, match=r"^the file does not say how a picture becomes its input$"):
        _fed()(session, np.zeros((8, 9, 3), np.uint8))


def test_every_language_has_its_snippet() -> None:
    for language in ("cpp", "kotlin", "csharp", "swift", "html", "yaml"):
        assert _snippet(language)
