"""TorchScript and weights that are given in the wrong place: one line says what to give instead."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from edgecompress.errors import ModelError
from edgecompress.loading.models import load_model
from edgecompress.loading.pytorch_files import holds_module, refuse_model_file, refuse_weights_file
from edgecompress.loading.weights import load_weights
from tests.mutations import damaged


def _scripted() -> Any:
    return torch.jit.script(nn.Linear(3, 3))


SCRIPT = (
    " is TorchScript, which cannot be captured as a program; give the torch.nn.Module that it was made from,"
    " or an ONNX file"
)
SAVED = (
    "save its weights with torch.save(torch.load('whole.pt', weights_only=False).state_dict(), 'weights.pt'), then give"
    " file.py:callable and --weights weights.pt"
)


class Saved(nn.Sequential):
    """Of a class of the user's own."""


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_files_of_torchscript_and_of_weights_are_no_models(tmp_path: Path) -> None:
    script, weights, older = (tmp_path / name for name in ("script.pt", "weights.pt", "older.pt"))
    _scripted().save(script)
    torch.save(nn.Linear(3, 3).state_dict(), weights)
    torch.save(nn.Linear(3, 3).state_dict(), older, _use_new_zipfile_serialization=False)
    whole, nested = tmp_path / "whole.pt", tmp_path / "nested" / "whole.pt"
    nested.parent.mkdir()
    torch.save(Saved(nn.Linear(3, 3)), whole)
    torch.save({"epoch": 3, "model": nn.Linear(3, 3)}, nested)
    told = {script: SCRIPT, older: "is neither"}
    told[weights] = (
        f"{str(weights)!r} holds weights, and no network; give the code of the network as MODEL: edgecompress compress"
        f" file.py:callable --weights {weights} --calibration DATA"
    )
    told |= {path: f"{str(path)!r} is a pickled module, which is not executed; {SAVED}" for path in (whole, nested)}
    for path, words in told.items():
        with pytest.raises(ModelError, match=re.escape(words)):
            load_model(str(path))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_weights_in_torchscript_are_refused_with_the_way_to_take_them_out(tmp_path: Path) -> None:
    script, advised = tmp_path / "script.pt", tmp_path / "weights.pt"
    _scripted().save(script)
    with pytest.raises(ModelError) as caught:
        load_weights(nn.Linear(3, 3), script)
    assert str(caught.value) == (
        f"weights {str(script)!r} are TorchScript, which holds code and was not executed; give its state dict:"
        " torch.save(torch.jit.load('script.pt').state_dict(), 'weights.pt')"
    )
    torch.save(torch.jit.load(script).state_dict(), advised)  # type: ignore[no-untyped-call]
    load_weights(nn.Linear(3, 3), advised)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickled_module_that_is_given_as_weights_is_told_how_its_weights_come_out(
    tmp_path: Path, protocol: int
) -> None:
    whole, advised = tmp_path / "whole.pt", tmp_path / "weights.pt"
    torch.save(nn.Linear(3, 3), whole, pickle_protocol=protocol)
    with pytest.raises(ModelError) as caught:
        load_weights(nn.Linear(3, 3), whole)
    assert str(caught.value) == f"weights {str(whole)!r} are a pickled module, which is not executed; {SAVED}"
    torch.save(torch.load(whole, weights_only=False).state_dict(), advised)
    load_weights(nn.Linear(3, 3), advised)
    assert (holds_module(whole), holds_module(advised)) == (True, False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_archive_is_refused_or_left_to_its_reader(tmp_path: Path, data: st.DataObject) -> None:
    whole, spoilt = tmp_path / "weights.pt", tmp_path / "spoilt.pt"
    torch.save(nn.Linear(3, 3).state_dict(), whole)
    spoilt.write_bytes(data.draw(damaged(whole.read_bytes())))
    refuse_weights_file(spoilt)
    with suppress(ModelError):
        refuse_model_file(spoilt)


def test_an_archive_that_lost_its_beginning_is_no_state_dict(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(nn.Linear(3, 3).state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[content.index(b"PK\x01\x02") + 1 :])  # the index of the archive is cut, too
    for refuse in (refuse_weights_file, refuse_model_file):
        refuse(path)
    with pytest.raises(ModelError, match="are no plain state dict"):
        load_weights(nn.Linear(3, 3), path)
