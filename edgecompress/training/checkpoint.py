"""Checkpoints: a run that was killed goes on from its last one, and ends with the weights of an unbroken run.

A checkpoint is one file, replaced whole, read without unpickling code. Random generators are not in it:
see :mod:`edgecompress.system.randomness`.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from edgecompress.errors import USER_CODE_FAILS, ModelError, OutputError, first_line
from edgecompress.system.durable import partial_of, replacing

FORMAT = 1
FILE = "training.pt"
PARTIAL = partial_of(Path(FILE)).name


def fingerprint(network: nn.Module, *parts: Any) -> str:
    """What a run is made of, as a digest: the weights it starts from, and settings, loss and the like in ``parts``.

    Functions count by their name, modules by their weights, other objects by what they hold.
    """
    hasher = hashlib.sha256()
    for part in (network, *parts):
        _update(hasher, part)
    return hasher.hexdigest()


class Checkpoints:
    """The checkpoints of one run in one folder; the last one replaces those before.

    Raises:
        OutputError: the folder holds other things, or cannot be written.
    """

    def __init__(self, folder: Path, run: str, every_steps: int | None, every_seconds: float) -> None:
        self._folder, self._run = folder, run
        self._every_steps, self._every_seconds = every_steps, every_seconds
        self._last_step, self._last_time = 0, time.monotonic()
        self._tried = False
        _prepare(folder)

    def load(self) -> dict[str, Any] | None:
        """The last state that was saved; None where there is none yet.

        Raises:
            OutputError: it is of another run, or no checkpoint of this version.
        """
        path = self._folder / FILE
        if not path.exists():
            return None
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            kept, run, state = content["format"], content["run"], content["state"]
        except Exception as error:
            raise OutputError(_foreign(path, "is no checkpoint of this version")) from error
        if kept != FORMAT:
            raise OutputError(_foreign(path, "is no checkpoint of this version"))
        if run != self._run:
            raise OutputError(_foreign(path, "is from another run: its model, settings, loss or data differ"))
        self._last_step = int(state["position"]["step"])
        return dict(state)

    def due(self, step: int) -> bool:
        """Whether enough steps or seconds have passed since the last one."""
        many = self._every_steps is not None and step - self._last_step >= self._every_steps
        return many or time.monotonic() - self._last_time >= self._every_seconds

    def save(self, state: Mapping[str, Any], step: int) -> None:
        """Replace the last checkpoint in one step: whenever the process dies, one whole file is there.

        Raises:
            OutputError: it cannot be written.
            ModelError: the state of the optimizer or the scheduler holds what cannot be read back.
        """
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, "run": self._run, "state": dict(state)}, buffer)
        if not self._tried:
            _check_readable(buffer)
            self._tried = True
        try:
            with replacing(self._folder / FILE) as file:
                file.write(buffer.getbuffer())
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        self._last_step, self._last_time = step, time.monotonic()


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = sorted(path.name for path in folder.iterdir() if path.name not in (FILE, PARTIAL))
        with tempfile.TemporaryFile(dir=folder):  # it has no name: nobody sees it
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error
    if others and not (folder / FILE).exists():
        raise OutputError(
            f"checkpoint folder {str(folder)!r} holds other files ({others[0]}); choose an empty or a new folder"
        )


def _check_readable(buffer: io.BytesIO) -> None:
    """A checkpoint that cannot be read back would be found out after the run was killed: too late."""
    buffer.seek(0)
    try:
        torch.load(buffer, map_location="cpu", weights_only=True)
    except USER_CODE_FAILS as error:
        raise ModelError(
            "the state of the optimizer or the scheduler cannot be read back from a checkpoint:"
            f" {first_line(error)}; keep only numbers and tensors in it, or train without checkpoints"
        ) from error


def _foreign(path: Path, fault: str) -> str:
    return f"{str(path)!r} {fault}; delete it, or choose another folder for checkpoints"


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"checkpoint folder {str(folder)!r} cannot be written: {error.strerror}; choose another folder")


def _update(hasher: hashlib._Hash, part: Any) -> None:
    hasher.update(f"<{type(part).__name__}>".encode())
    if isinstance(part, nn.Module):
        _update(hasher, part.state_dict())
    elif isinstance(part, Tensor):
        array = part.detach().cpu().clone(memory_format=torch.contiguous_format)
        hasher.update(f"{array.dtype}{tuple(array.shape)}".encode())
        hasher.update(array.reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(part, Optimizer):
        _update(hasher, (part.state_dict(), [group["params"] for group in part.param_groups]))
    elif isinstance(part, Mapping):
        for key, value in part.items():
            hasher.update(f"{key}=".encode())
            _update(hasher, value)
    elif isinstance(part, (tuple, list)):
        for value in part:
            _update(hasher, value)
    elif isinstance(part, functools.partial):
        _update(hasher, (part.func, part.args, part.keywords))
    elif isinstance(part, (str, bytes, int, float, type(None))):
        hasher.update(repr(part).encode())
    elif dataclasses.is_dataclass(part) and not isinstance(part, type):
        _update(hasher, {field.name: getattr(part, field.name) for field in dataclasses.fields(part)})
    elif hasattr(part, "__qualname__"):
        hasher.update(f"{part.__module__}.{part.__qualname__}".encode())
    else:
        plain = (nn.Module, Tensor, str, int, float)  # what other objects refer to may lead back to them
        _update(hasher, {key: value for key, value in vars(part).items() if isinstance(value, plain)})
