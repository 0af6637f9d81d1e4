"""TorchScript, in memory and in files: one line that says what to give in its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgecompress import Distiller, LowRankDecomposition, ModelError, ModelPruner, Quantizer, compress
from edgecompress.loading.models import load_model

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


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_what_a_callable_returns_is_looked_at(project: Path) -> None:
    Path("made.py").write_text("import torch\ndef net(): return torch.jit.script(torch.nn.Linear(3, 3))")
    with pytest.raises(ModelError) as caught:
        load_model("made.py:net")
    assert str(caught.value) == f"'made.py:net' returned{ADVICE}, or an ONNX file"
