"""TorchScript: no program can be captured of it, so it is refused with what can be given in its place."""

from __future__ import annotations

from typing import Any

import torch

from edgecompress.errors import ModelError

IN_ITS_PLACE = "give the torch.nn.Module that it was made from"
OR_ONNX = f"{IN_ITS_PLACE}, or an ONNX file"


def refuse_torchscript(network: Any, called: str, advice: str = IN_ITS_PLACE) -> None:
    """Refuse a module of ``torch.jit``, scripted or traced.

    Raises:
        ModelError: it is one; ``called`` is the beginning of the message.
    """
    if isinstance(network, torch.jit.ScriptModule):
        raise ModelError(f"{called} TorchScript, which cannot be captured as a program; {advice}")
