"""The exact text of what is told of a model's code, its file and its weights as they are loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgecompress.errors import InputError
from edgecompress.loading.models import load_model
from edgecompress.loading.weights import load_weights

FLOATS = torch.zeros(2, 3)


def _told(mistake: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        mistake()
    return str(caught.value)


def _written(name: str, content: bytes | str) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def _dumped(content: Any) -> str:
    torch.save(content, "weights.pt")
    return "weights.pt"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


CODE = """
net = 3
def needs(width): pass
def raises(): raise RuntimeError("no such backbone")
def number(): return 3
"""


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("absent.onnx", "model file 'absent.onnx' does not exist; check the path"),
        ("absent.py:net", "file 'absent.py' does not exist; check the path"),
        (
            "absent_module:net",
            "module 'absent_module' cannot be imported: No module named 'absent_module'; install it, or check the name",
        ),
        (
            "net",
            "model 'net' is neither a known file nor a callable; give file.py:callable, or timm:net or hf:net for a"
            " model of one of these libraries",
        ),
        (
            "some/net",
            "model 'some/net' is neither a known file nor a callable; give file.py:callable, or hf:some/net for a model"
            " of the Hugging Face hub",
        ),
        ("hf:", "'hf:' has no name; give hf:NAME, or hf:FOLDER"),
        ("mistaken.py:ned", "'mistaken.py' has no callable 'ned'; did you mean 'needs'?"),
        ("mistaken.py:zzz", "'mistaken.py' has no callable 'zzz'; name one that it has"),
        ("mistaken.py:net", "'mistaken.py:net' is an int, not a callable; name a function"),
        (
            "mistaken.py:needs",
            "'mistaken.py:needs' needs the argument 'width'; give a function without arguments that returns it",
        ),
        ("mistaken.py:raises", "'mistaken.py:raises' raised RuntimeError: no such backbone; repair it"),
        ("mistaken.py:number", "'mistaken.py:number' returned an int, not a torch.nn.Module; return one"),
        (
            "mistaken.py",
            "model 'mistaken.py' is a file of code; name a callable of it: mistaken.py:needs or mistaken.py:raises or"
            " mistaken.py:number",
        ),
        ("empty.py", "model 'empty.py' is a file of code; name a callable of it: empty.py:callable"),
        (
            "net.h5",
            "'net.h5' is a Keras model; convert it to ONNX first: python -m tf2onnx.convert --keras net.h5 --output"
            " model.onnx",
        ),
        (
            "net.engine",
            "'net.engine' is a TensorRT engine, made for a single GPU; give the ONNX file that it was built from",
        ),
        ("broken.py:net", "'broken.py' raised ValueError: too early; repair it"),
        ("junk.onnx", "'junk.onnx' is not a valid ONNX model: "),
        ("folder", "'folder' is a folder; give a file in it, such as model.onnx"),
        (
            "junk.pt2",
            f"'junk.pt2' is no program of torch.export.save that PyTorch {torch.__version__} can read; save it again"
            " with torch.export.save",
        ),
    ],
)
def test_a_model(spec: str, told: str) -> None:
    for name in ("junk.onnx", "junk.pt2"):
        _written(name, "junk")
    _written("mistaken.py", CODE)
    _written("empty.py", "def broken(:")
    _written("broken.py", "raise ValueError('too early')")
    Path("folder").mkdir()
    found = _told(lambda: load_model(spec))
    if spec == "junk.onnx":  # then what the parser says
        assert found.startswith(told)
        assert found.endswith("; export it again")
    else:
        assert found == told


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("absent.pt", None, "weights file 'absent.pt' does not exist; check the path"),
        (
            "nets.py:net",
            None,
            "weights file 'nets.py:net' does not exist; it is code: give it as MODEL, and a file such as w.pt here",
        ),
        (
            "w.safetensors",
            b"junk",
            "weights 'w.safetensors' are not safetensors: Error while deserializing header: header too small; save"
            " them again",
        ),
        (
            "w.pt",
            b"junk",
            "weights 'w.pt' are no plain state dict and were not executed; save model.state_dict() with torch.save or"
            " safetensors",
        ),
        ("weights.pt", [FLOATS], "weights 'weights.pt' hold no state dict; save model.state_dict()"),
        (
            "weights.pt",
            {"weight": FLOATS},
            "weights 'weights.pt' do not fit the model (missing: bias); give this model's own",
        ),
        (
            "weights.pt",
            {"epoch": 3, "net": {"module.weight": FLOATS}},
            "weights 'weights.pt' do not fit the model (missing: bias); give this model's own",
        ),
        (
            "weights.pt",
            {name: {"weight": FLOATS, "bias": torch.full((3,), value)} for name, value in (("net", 0.0), ("ema", 1.0))},
            "weights 'weights.pt' fit the model 2 times (['net'], ['ema']); save those to take in a file of their own",
        ),
        (
            "weights.pt",
            {"weight": FLOATS, "bias": torch.zeros(2)},
            "weights 'weights.pt' do not fit the model: 'bias' has shape (2,), the model's is (3,); give this model's"
            " own",
        ),
    ],
)
def test_weights(name: str, content: Any, told: str) -> None:
    if isinstance(content, bytes):
        _written(name, content)
    elif content is not None:
        _dumped(content)
    network = nn.Linear(3, 2)
    network.bias = nn.Parameter(torch.zeros(3))
    assert _told(lambda: load_weights(network, Path(name))) == told
