"""Weights: what a file holds goes into the module, under the names that the module has."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgecompress.errors import ModelError
from edgecompress.loading.weights import load_weights
from tests.heard import Heard
from tests.networks import ConvNet, seeded


def test_pytorch_does_not_warn_of_a_pickle_that_it_refuses(tmp_path: Path) -> None:
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"a": 1}, protocol=4))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ModelError, match="no plain state dict"):
            load_weights(torch.nn.Linear(2, 2), tmp_path / "plain.pt")
    assert not caught


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_weights_of_a_wrapped_model_fit_the_model(prefix: str, tmp_path: Path) -> None:
    state = {f"{prefix}{name}": value for name, value in seeded(ConvNet).state_dict().items()}
    save_file(state, tmp_path / "wrapped.safetensors")
    module = seeded(ConvNet, 1)
    load_weights(module, tmp_path / "wrapped.safetensors")
    wanted = seeded(ConvNet).state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in module.state_dict().items())


def test_what_is_taken_of_a_checkpoint_is_told(tmp_path: Path) -> None:
    state = {f"model.{name}": value for name, value in seeded(ConvNet).state_dict().items()}
    torch.save({"state_dict": {**state, "loss.weight": torch.ones(3)}, "epoch": 7}, tmp_path / "run.ckpt")
    told = Heard()
    load_weights(seeded(ConvNet, 1), tmp_path / "run.ckpt", told)
    assert told.lines == [
        f"weights {str(tmp_path / 'run.ckpt')!r}: taken from ['state_dict'], behind 'model.'; other tensors there (1)"
        " are left out"
    ]


def test_nothing_is_told_of_plain_weights(tmp_path: Path) -> None:
    torch.save({"model": seeded(ConvNet).state_dict(), "epoch": 7}, tmp_path / "run.pt")
    told = Heard()
    load_weights(seeded(ConvNet, 1), tmp_path / "run.pt", told)
    assert not told.lines


def test_a_model_that_wraps_by_itself_keeps_its_names(tmp_path: Path) -> None:
    own = nn.ModuleDict({"module": nn.Linear(2, 2)})
    save_file(own.state_dict(), tmp_path / "own.safetensors")
    load_weights(own, tmp_path / "own.safetensors")


def test_a_folder_and_a_whole_model_are_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    _refused("run", "weights 'run' are a folder; give the file in it (.safetensors, .pt, .pth, .bin, .ckpt)")
    Path("run/best.pth").touch()
    Path("run/log.txt").touch()
    _refused("run", "weights 'run' are a folder; give run/best.pth")
    for name in ("net.onnx", "net.pt2"):
        Path(name).touch()
        _refused(name, f"weights {name!r} are a whole model; give it as MODEL, without --weights")


def _refused(name: str, told: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_weights(torch.nn.Linear(2, 2), Path(name))
    assert str(caught.value) == told
