"""The snippets of the page on deploying: Python's runs, and the workflow calls the command as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "deploying.md").read_text()


def _snippet(language: str) -> str:
    """The first snippet in a language."""
    found, *_ = re.findall(rf"^```{language}.*?\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


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


def test_every_language_has_its_snippet() -> None:
    for language in ("cpp", "kotlin", "csharp", "swift", "html", "yaml"):
        assert _snippet(language)
