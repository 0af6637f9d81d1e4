"""TorchScript: no program can be captured of it, so it is refused with what can be given in its place."""

from __future__ import annotations

import zipfile
from pathlib import Path
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


def refuse_model_file(path: Path) -> None:
    """Refuse a file of PyTorch's that is given as a model: nothing in it can be read as a program.

    Raises:
        ModelError: it is of ``torch.jit.save`` or ``torch.save``.
    """
    if not path.is_file() or not zipfile.is_zipfile(path):
        return
    if _is_torchscript(path):
        raise ModelError(f"{str(path)!r} is TorchScript, which cannot be captured as a program; {OR_ONNX}")
    raise ModelError(
        f"{str(path)!r} holds weights, or a pickled module, which is not executed; give file.py:callable and"
        " --weights for a state dict, or save the model with torch.export.save (model.pt2)"
    )


def refuse_weights_file(path: Path) -> None:
    """Refuse a file of ``torch.jit.save`` that is given as weights.

    Raises:
        ModelError: it is one.
    """
    if zipfile.is_zipfile(path) and _is_torchscript(path):
        raise ModelError(
            f"weights {str(path)!r} are TorchScript, which holds code and was not executed; give its state dict:"
            f" torch.save(torch.jit.load({path.name!r}).state_dict(), 'weights.pt')"
        )


def _is_torchscript(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
