"""The page's server gives what the page asks for, and nothing else of this machine."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from edgecompress.validation.elsewhere.page import Served, serve


@pytest.fixture
def served(tmp_path: Path) -> Served:
    (tmp_path / "secret.js").write_text("mine")
    dist = tmp_path / "dist"
    dist.mkdir()
    (dist / "ort.wasm").write_bytes(b"wasm")
    (dist / "notes.txt").write_text("mine")
    return Served(model=b"onnx", case=b"{}", dist=dist)


def test_it_serves_the_model_the_case_and_onnxruntime_web(served: Served) -> None:
    assert served.content("/model.onnx") == (b"onnx", "application/octet-stream")
    assert served.content("/case.json") == (b"{}", "application/json")
    assert served.content("/ort/ort.wasm") == (b"wasm", "application/wasm")


@pytest.mark.parametrize(
    "path", ["/ort/../secret.js", "/ort/notes.txt", "/ort/", "/etc/passwd", "/ort/missing.js", "", "/ort/..", "//"]
)
def test_nothing_else_is_served(served: Served, path: str) -> None:
    assert served.content(path) is None


def test_over_the_wire(served: Served) -> None:
    with serve(served) as (url, answers):
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url + "model.onnx") as answer:
            assert answer.read() == b"onnx"
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            urllib.request.urlopen(url + "missing")
        caught.value.close()
        for body in (b'{"failure": "none"}', b"[1]", b"no JSON"):
            with urllib.request.urlopen(url + "answer", body):
                pass
        found = [answers.get(timeout=5)["failure"] for _ in range(3)]
    assert found == ["none", *["the page sent something else than an object"] * 2]
