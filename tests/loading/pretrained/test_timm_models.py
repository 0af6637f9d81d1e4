"""``timm:FOLDER`` and ``timm:NAME``: the network, and its pictures as its configuration says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgecompress.errors import ModelError
from edgecompress.loading.models import load_model
from edgecompress.modules.preprocessing import preprocessing_of

timm: Any = pytest.importorskip("timm", reason="timm is not installed: timm: is not tested")
NAME = "test_vit"


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A small network of five classes in the folder ``net`` of the current one."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network: nn.Module = timm.create_model(NAME, num_classes=5).eval()
    Path("net").mkdir()
    save_file(network.state_dict(), "net/model.safetensors")
    said = {
        "input_size": [3, 160, 160],
        "fixed_input_size": True,
        "crop_pct": 0.95,
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
    }
    tables = {"architecture": NAME, "num_classes": 5, "pretrained_cfg": said}
    Path("net/config.json").write_text(json.dumps(tables))
    return network


def test_a_folder_is_the_network_that_was_saved(saved: nn.Module) -> None:
    module, pixels = load_model("timm:net"), torch.rand(2, 3, 160, 160)
    assert isinstance(module, nn.Module)
    with torch.no_grad():
        torch.testing.assert_close(module(pixels), saved(pixels))
    wanted = {"size": (160, 160), "mean": (0.5,) * 3, "std": (0.25,) * 3, "resize": "crop", "crop_share": 0.95}
    assert preprocessing_of(module).images == wanted


def test_a_name_with_weights_needs_no_network(saved: nn.Module) -> None:
    state = timm.create_model(NAME).state_dict()
    save_file(state, "own.safetensors")
    module = load_model(f"timm:{NAME}", "own.safetensors")
    assert isinstance(module, nn.Module)
    assert all(torch.equal(module.state_dict()[name], value) for name, value in state.items())


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("timm:resnot18", "timm has no network 'resnot18'; did you mean 'resnet18'?"),
        ("timm:resnet14d", "timm has no network 'resnet14d'; did you mean"),
    ],
)
def test_a_name_that_timm_lacks_is_told(form: str, told: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(form)
    assert str(caught.value).startswith(told)


def test_a_network_that_nobody_trained_needs_weights() -> None:
    trained = {name.partition(".")[0] for name in timm.list_models(pretrained=True)}
    name = min({*timm.list_models()} - trained)
    with pytest.raises(ModelError) as caught:
        load_model(f"timm:{name}")
    assert str(caught.value) == f"'timm:{name}' has no trained weights; give yours with --weights FILE"


def test_a_folder_of_transformers_is_told(saved: nn.Module) -> None:
    Path("net/config.json").write_text('{"model_type": "vit", "architectures": ["ViTModel"]}')
    with pytest.raises(
        ModelError, match="'timm:net' was not written by timm; for a folder of transformers give hf:net"
    ):
        load_model("timm:net")
