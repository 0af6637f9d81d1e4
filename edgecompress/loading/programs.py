"""Programs of ``torch.export.save``: read as data, though PyTorch's own reader runs code that it finds in them.

It unpickles tensors that are marked so, takes any attribute of ``torch`` for an operator, and gives the texts of
symbolic sizes to SymPy, which evaluates them as Python.
"""

from __future__ import annotations

import json
import os
import pickle  # only to keep PyTorch from using it  # nosec B403
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import torch
from torch.export import ExportedProgram

from edgecompress.errors import ModelError
from edgecompress.system.archives import check_archive
from edgecompress.system.quiet import quiet_torch

OPERATOR = re.compile(r"(torch\.ops|_operator|math|torch\.sym_\w+|torch\._sym_\w+)(\.\w+)*")
SIZE = re.compile(r"(?:[\w\s+\-*/%(),<>=&|~!]|(?<=\d)\.(?=\d)|'\w*')*")
"""Names, numbers, quoted names and operators, but no attribute of anything."""
CALL, FUNCTIONS = re.compile(r"(\w+)\s*\("), ("ceiling", "floor", "log", "sqrt")
"""SymPy's classes begin with a capital; Python's own functions, which it would find too, do not."""


def read_program(path: Path) -> ExportedProgram:
    """A program as ``torch.export.load`` reads it, without executing anything of it.

    Raises:
        ModelError: it holds code, or is no program that this version of PyTorch reads.
    """
    try:
        _check(path)
        with quiet_torch(), _nothing_unpickled():
            return torch.export.load(path)
    except (ModelError, pickle.UnpicklingError):
        raise ModelError(
            f"{str(path)!r} holds code in place of tensors, sizes or operators, which was not executed;"
            " save it again with torch.export.save"
        ) from None
    except Exception:  # PyTorch's reasons tell of its archive, or of warnings that it logged
        raise ModelError(
            f"{str(path)!r} is no program of torch.export.save that PyTorch {torch.__version__} can read;"
            " save it again with torch.export.save"
        ) from None


def _check(path: Path) -> None:
    check_archive(path)
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                _walk(json.loads(archive.read(name)))


def _walk(value: Any) -> None:
    """Look at every text that PyTorch would take for an operator or a size."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str) and key in CHECKED and ("__" in item or not CHECKED[key](item)):
                raise ModelError(f"{key} {item!r}")
            _walk(item)
    elif isinstance(value, list):
        for item in value:
            _walk(item)


def _is_operator(text: str) -> bool:
    return OPERATOR.fullmatch(text) is not None


def is_size(text: str) -> bool:
    """Whether a text is a size as SymPy writes one: numbers, symbols and functions of these, and nothing that runs."""
    called = CALL.findall(text)
    return SIZE.fullmatch(text) is not None and all(name[0].isupper() or name in FUNCTIONS for name in called)


CHECKED = {"target": _is_operator, "expr_str": is_size}


@contextmanager
def _nothing_unpickled() -> Iterator[None]:
    """``torch.load`` takes only tensors, whatever its caller asks for, and ``pickle.loads`` nothing."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise pickle.UnpicklingError("objects are not read")

    with (
        mock.patch.dict(os.environ, {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1"}),
        mock.patch.object(pickle, "loads", refuse),
        mock.patch.object(torch._C, "_pickle_load_obj", refuse),
    ):
        yield
