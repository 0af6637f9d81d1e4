"""MODEL, DATA and weights in every form that the documentation lists."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.export import ExportedProgram

from edgecompress import ModelPruner
from edgecompress.data.batches import Batch
from edgecompress.errors import ModelError
from edgecompress.exporters.onnx import to_onnx
from edgecompress.loading.models import load_model
from edgecompress.modules.capture import capture
from edgecompress.recipe.tables import Export
from edgecompress.runtime import execute, to_bytes
from edgecompress.system.isolation import require_file
from tests.heard import Heard
from tests.networks import ConvNet, images, seeded

BATCH = Batch(inputs={"image": images(rows=3, batches=1)[0][0].numpy()})


def _same(network: Any) -> None:
    wanted = execute(seeded(ConvNet), BATCH.inputs)[0]
    np.testing.assert_allclose(execute(network, BATCH.inputs)[0], wanted, rtol=1e-4, atol=1e-5)


def test_a_model_that_draws_its_weights_draws_them_alike(project: Path) -> None:
    Path("drawn.py").write_text("import torch\ndef net(): return torch.nn.Linear(2, 2)")
    state = torch.get_rng_state()
    first, second = (load_model("drawn.py:net") for _ in range(2))
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(state, torch.get_rng_state())


def test_a_class_without_weights_is_told(project: Path) -> None:
    Path("classes.py").write_text("import torch\nclass Net(torch.nn.ReLU): ...\ndef net(): return Net()")
    heard = Heard()
    load_model("classes.py:net", progress=heard)
    assert heard.lines == []
    load_model("classes.py:Net", progress=heard)
    assert heard.lines == [
        "'classes.py:Net' is a class, and no weights are given (--weights): the network has those that it begins with"
    ]
    save_file({"unused": torch.zeros(1)}, "own.safetensors")
    with pytest.raises(ModelError):
        load_model("classes.py:Net", "own.safetensors", heard)
    assert len(heard.lines) == 1


@pytest.mark.parametrize("spec", ["nets.py:net", "nets:net"])
def test_a_model_from_a_file_or_a_module(project: Path, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    _same(load_model(spec))


def test_a_model_from_onnx(project: Path) -> None:
    Path("net.onnx").write_bytes(to_bytes(to_onnx(capture(seeded(ConvNet), BATCH, Export()), Export())))
    model = load_model("net.onnx")
    assert isinstance(model, ir.Model)
    _same(model)


@pytest.mark.parametrize("form", ["position", "keyword"])
@pytest.mark.filterwarnings("ignore:.*is deprecated:Warning")  # torch's own reader of its own file
def test_a_model_from_pt2(project: Path, form: str) -> None:
    x = torch.from_numpy(BATCH.inputs["image"])
    args, kwargs = ((x,), {}) if form == "position" else ((), {"image": x})
    torch.export.save(torch.export.export(seeded(ConvNet), args, kwargs), "net.pt2")
    program = load_model("net.pt2")
    assert isinstance(program, ExportedProgram)
    _same(program)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt", "checkpoint.pt", "training.pt"])
def test_weights_fill_the_model(project: Path, name: str) -> None:
    other = seeded(ConvNet, seed=7)
    state = dict(other.state_dict())
    if name.endswith(".safetensors"):
        save_file(state, name)
    else:
        forms = {"checkpoint.pt": {"state_dict": state}, "training.pt": {"epoch": 3, "model": state}}
        torch.save(forms.get(name, state), name)
    model = load_model("nets.py:net", name)
    assert isinstance(model, nn.Module)
    np.testing.assert_array_equal(execute(model, BATCH.inputs)[0], execute(other, BATCH.inputs)[0])


@pytest.mark.parametrize("name", ["pruned.safetensors", "pruned.pt"])
def test_the_file_of_a_pruned_network_shrinks_the_model(project: Path, name: str) -> None:
    pruner = ModelPruner(seeded(ConvNet), images(rows=3, batches=1)[0][0])
    pruner.structured_pruning("filter", 0.5)
    pruner.save(name)
    loaded = load_model("nets.py:net", name)
    assert isinstance(loaded, nn.Module)
    assert type(loaded) is ConvNet
    expected = pruner.model.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in loaded.state_dict().items())


def test_an_onnx_file_takes_no_weights(project: Path) -> None:
    with pytest.raises(ModelError, match="leave --weights out"):
        load_model("net.onnx", "weights.pt")


def test_pytorch_does_not_log_a_program_that_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "half.pt2").write_bytes(b"PK half a program")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger("torch.export").addHandler(handler)
    try:
        with pytest.raises(ModelError, match="save it again"):
            load_model(str(tmp_path / "half.pt2"))
    finally:
        logging.getLogger("torch.export").removeHandler(handler)
    assert stream.getvalue() == ""


def test_a_folder_is_no_model(project: Path) -> None:
    Path("out").mkdir()
    with pytest.raises(ModelError, match=r"'out' is a folder; give a file in it, such as model\.onnx"):
        load_model("out")
    with pytest.raises(ModelError, match=r"'out' is a folder; give a file in it, out/model\.onnx for a bundle"):
        require_file(Path("out"))
