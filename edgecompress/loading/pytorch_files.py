"""Files of PyTorch's own formats that are given in the wrong place: what can be given instead is told."""

from __future__ import annotations

import zipfile
from pathlib import Path

from edgecompress.errors import ModelError
from edgecompress.modules.torchscript import OR_ONNX


def refuse_model_file(path: Path) -> None:
    """Refuse a file of PyTorch's that is given as a model: nothing in it can be read as a program.

    Raises:
        ModelError: it is of ``torch.jit.save`` or ``torch.save``.
    """
    names = _members(path)
    if not names:
        return
    if _is_torchscript(names):
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
    if _is_torchscript(_members(path)):
        raise ModelError(
            f"weights {str(path)!r} are TorchScript, which holds code and was not executed; give its state dict:"
            f" torch.save(torch.jit.load({path.name!r}).state_dict(), 'weights.pt')"
        )


def _is_torchscript(names: list[str]) -> bool:
    return any(name.endswith("/constants.pkl") for name in names)


def _members(path: Path) -> list[str]:
    """The names in an archive; none where the file is no archive, or a damaged one, which whoever reads it tells."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return []
