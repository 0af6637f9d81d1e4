"""TorchScript, in memory and in files: one line that says what to give in its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgecompress import Distiller, LowRankDecomposition, ModelError, ModelPruner, Quantizer, compress
from edgecompress.loading.models import load_model
from edgecompress.loading.weights import load_weights

ROWS = torch.zeros(2, 3)
ADVICE = " TorchScript, which cannot be captured as a program; give the torch.nn.Module that it was made from"


def _scripted() -> Any:
    return torch.jit.script(nn.Linear(3, 3))


def _traced() -> Any:
    return torch.jit.trace(nn.Linear(3, 3), ROWS)  # type: ignore[no-untyped-call]


CALLS: dict[str, tuple[Callable[[Any], object], str]] = {
    "compress": (lambda net: compress(net, calibration=[ROWS]), f"the model is{ADVICE}, or an ONNX file"),
    "teacher": (
        lambda net: compress(nn.Linear(3, 3), teacher=net, calibration=[ROWS]),
        f"the teacher is{ADVICE}",
    ),
    "prune": (ModelPruner, f"the model is{ADVICE}"),
    "factorize": (lambda net: LowRankDecomposition.apply_to_model(net), f"the model is{ADVICE}"),
    "static": (lambda net: Quantizer.static_quantize(net, [ROWS]), f"the model is{ADVICE}"),
    "dynamic": (lambda net: Quantizer.dynamic_quantize(net, ROWS), f"the model is{ADVICE}"),
    "teach": (lambda net: Distiller(nn.Linear(3, 3), net), f"the student is{ADVICE}"),
}


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("make", [_scripted, _traced])
@pytest.mark.parametrize("call", CALLS)
def test_a_scripted_or_traced_module_is_refused(call: str, make: Callable[[], Any]) -> None:
    mistake, line = CALLS[call]
    with pytest.raises(ModelError) as caught:
        mistake(make())
    assert str(caught.value) == line


SCRIPT = (
    " is TorchScript, which cannot be captured as a program; give the torch.nn.Module that it was made from,"
    " or an ONNX file"
)
WEIGHTS = (
    " holds weights, or a pickled module, which is not executed; give file.py:callable and --weights for a state dict,"
    " or save the model with torch.export.save (model.pt2)"
)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_files_of_torchscript_and_of_weights_are_no_models(tmp_path: Path) -> None:
    script, weights, older = (tmp_path / name for name in ("script.pt", "weights.pt", "older.pt"))
    _scripted().save(script)
    torch.save(nn.Linear(3, 3).state_dict(), weights)
    torch.save(nn.Linear(3, 3).state_dict(), older, _use_new_zipfile_serialization=False)
    told = {script: SCRIPT, weights: WEIGHTS, older: "is neither"}
    for path, words in told.items():
        with pytest.raises(ModelError, match=re.escape(words)):
            load_model(str(path))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_what_a_callable_returns_is_looked_at(project: Path) -> None:
    Path("made.py").write_text("import torch\ndef net(): return torch.jit.script(torch.nn.Linear(3, 3))")
    with pytest.raises(ModelError) as caught:
        load_model("made.py:net")
    assert str(caught.value) == f"'made.py:net' returned{ADVICE}, or an ONNX file"


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
