"""MODEL, DATA and weights in every form that the documentation lists."""

from __future__ import annotations

import io
import logging
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.export import ExportedProgram

from edgecompress import ModelPruner
from edgecompress.data.batches import Batch
from edgecompress.errors import DataError, ModelError
from edgecompress.exporters.onnx import to_onnx
from edgecompress.loading.models import load_model
from edgecompress.loading.sources import load_data
from edgecompress.loading.weights import load_weights
from edgecompress.modules.capture import capture
from edgecompress.recipe.tables import Export, Images
from edgecompress.runtime import execute, to_bytes
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


def test_a_user_s_own_json_py_and_calibration_py_do_no_harm(project: Path) -> None:
    (project / "json.py").write_text("from tests.networks import ConvNet, seeded\nnet = lambda: seeded(ConvNet)\n")
    (project / "calibration.py").write_text("from tests.networks import images\ndata = images\n")
    _same(load_model("json.py:net"))
    assert len(list(load_data("calibration.py:data", "calibration", Images())())) == 4
    import json

    assert json.loads("[1]") == [1]


def test_a_user_s_file_may_import_its_neighbours(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "neighbour.py").write_text("WIDTH = 3\n")
    (project / "importer.py").write_text(
        "import torch\nfrom neighbour import WIDTH\ndef net(): return torch.nn.Linear(WIDTH, 2)\n"
    )
    model = load_model("importer.py:net")
    assert isinstance(model, nn.Linear)
    assert model.in_features == 3


def _read(spec: str, settings: Images | None = None) -> list[Any]:
    return list(load_data(spec, "calibration", settings or Images())())


def test_data_from_npz(project: Path) -> None:
    x, labels = np.arange(70, dtype=np.float32).reshape(70, 1), np.arange(70)
    np.savez("data.npz", image=x, labels=labels)
    batches = _read("data.npz")
    assert [len(batch["labels"]) for batch in batches] == [32, 32, 6]
    assert (np.concatenate([batch["image"] for batch in batches]) == x).all()


def test_npz_of_states_is_cut_along_the_axis_that_the_recipe_names(project: Path) -> None:
    x, h = np.random.rand(40, 3), np.random.rand(2, 40, 5)
    np.savez("data.npz", x=x, h=h, rate=np.array(16000.0))
    with pytest.raises(DataError, match="name the axis that holds the samples"):
        _read("data.npz")
    batches = list(load_data("data.npz", "calibration", Images(), {"h": 1})())
    assert [batch["x"].shape[0] for batch in batches] == [batch["h"].shape[1] for batch in batches] == [32, 8]
    assert (np.concatenate([batch["h"] for batch in batches], 1) == h).all()
    assert all(batch["rate"] == 16000 for batch in batches)


def test_npz_with_objects_is_not_unpickled(project: Path) -> None:
    np.savez("objects.npz", image=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="cannot be read as npz"):
        _read("objects.npz")


@pytest.mark.parametrize("header", ["", "image,label\n"])
def test_data_from_a_folder_of_images(project: Path, header: str) -> None:
    folder = project / "pictures"
    folder.mkdir()
    red = np.zeros((10, 20, 3), np.uint8)
    red[..., 0] = 255
    for index in range(20):
        Image.fromarray(red).save(folder / f"{index}.png")
    (folder / "labels.csv").write_text(header + "".join(f"{index}.png,{index % 3}\n" for index in range(20)))
    settings = Images(size=(6, 8), mean=(0.5, 0.0, 0.25), std=(0.5, 1.0, 0.5))
    batches = _read("pictures", settings)
    assert [pixels.shape for pixels, _ in batches] == [(16, 3, 6, 8), (4, 3, 6, 8)]
    assert batches[0][0].dtype == np.float32
    # (1 - 0.5) / 0.5, (0 - 0) / 1, (0 - 0.25) / 0.5
    assert [float(batches[0][0][0, channel].mean()) for channel in range(3)] == [1.0, 0.0, -0.5]
    assert np.concatenate([labels for _, labels in batches]).tolist() == [index % 3 for index in range(20)]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("0.png,0\n1.png\n", "line 2 is '1.png'; write 'image,label', the label a class from 0"),
        ("0.png,0\n", "image '.*0.png' cannot be read"),
    ],
)
def test_a_folder_with_a_fault_names_it(project: Path, table: str, words: str) -> None:
    (project / "pictures").mkdir()
    (project / "pictures" / "0.png").write_bytes(b"no picture")
    (project / "pictures" / "labels.csv").write_text(table)
    with pytest.raises(DataError, match=words):
        _read("pictures")


def test_pytorch_does_not_warn_of_a_pickle_that_it_refuses(tmp_path: Path) -> None:
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"a": 1}, protocol=4))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ModelError, match="no plain state dict"):
            load_weights(torch.nn.Linear(2, 2), tmp_path / "plain.pt")
    assert not caught


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


def test_garbage_for_npz_is_told_in_our_words(project: Path) -> None:
    Path("garbage.npz").write_bytes(b"not an archive")
    with pytest.raises(DataError) as caught:
        _read("garbage.npz")
    assert str(caught.value) == (
        "'garbage.npz' cannot be read as npz: it is damaged, no npz, larger than memory, or holds objects;"
        " write arrays with numpy.savez"
    )


def test_labels_that_are_not_utf_8_name_their_file(project: Path) -> None:
    Path("pictures").mkdir()
    Path("pictures", "labels.csv").write_bytes("caf\u00e9.png,0\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"'pictures/labels\.csv' is not UTF-8 text"):
        _read("pictures")


def test_a_folder_is_no_model(project: Path) -> None:
    Path("out").mkdir()
    with pytest.raises(ModelError, match=r"'out' is a folder; give a file in it, out/model\.onnx for a bundle"):
        load_model("out")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_weights_of_a_wrapped_model_fit_the_model(prefix: str, tmp_path: Path) -> None:
    state = {f"{prefix}{name}": value for name, value in seeded(ConvNet).state_dict().items()}
    save_file(state, tmp_path / "wrapped.safetensors")
    module = seeded(ConvNet, 1)
    load_weights(module, tmp_path / "wrapped.safetensors")
    _same(module.eval())


def test_a_model_that_wraps_by_itself_keeps_its_names(tmp_path: Path) -> None:
    own = nn.ModuleDict({"module": nn.Linear(2, 2)})
    save_file(own.state_dict(), tmp_path / "own.safetensors")
    load_weights(own, tmp_path / "own.safetensors")
