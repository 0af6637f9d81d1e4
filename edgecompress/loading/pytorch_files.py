"""Files of PyTorch's own formats that are given in the wrong place: what can be given instead is told."""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path

from edgecompress.errors import ModelError
from edgecompress.modules.torchscript import OR_ONNX
from edgecompress.system.archives import check_archive

MODULES = "torch.nn.modules."
"""Where the classes are from that every pickled network names."""


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
    if holds_module(path):
        raise ModelError(f"{str(path)!r} is a pickled module, which is not executed; {saved_weights(path)}")
    raise ModelError(
        f"{str(path)!r} holds weights, and no network; give the code of the network as MODEL:"
        f" edgecompress compress file.py:callable --weights {path} --calibration DATA"
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


def saved_weights(path: Path) -> str:
    """How the weights come out of a pickled module; its own code runs there, not here."""
    saved = f"torch.save(torch.load({path.name!r}, weights_only=False).state_dict(), 'weights.pt')"
    return f"save its weights with {saved}, then give file.py:callable and --weights weights.pt"


def holds_module(path: Path) -> bool:
    """Whether a file of ``torch.save`` pickles a module, which shows in the classes that it names; none is loaded."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(each for each in archive.namelist() if each.endswith("data.pkl"))
            check_archive(path)
            named = (argument for _, argument, _ in pickletools.genops(archive.read(name)))
            return any(isinstance(each, str) and each.startswith(MODULES) for each in named)
    except Exception:  # a damaged file, which whoever reads it tells
        return False


def _is_torchscript(names: list[str]) -> bool:
    return any(name.endswith("/constants.pkl") for name in names)


def _members(path: Path) -> list[str]:
    """The names in an archive; none where the file is no archive, or a damaged one, which whoever reads it tells."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return []
