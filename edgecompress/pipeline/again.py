"""The command that makes a bundle again, with the names of all that has some."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from edgecompress.loading.metrics import AS_NAMED, MeasuredBy
from edgecompress.loading.sources import Data
from edgecompress.runtime import Network

MODEL, FILE, DATA = "MODEL", "FILE", "DATA"
"""What stands for objects, which have no names."""
RECIPE = "recipe.toml"
ROLES = ("calibration", "evaluation", "train")


def command_again(
    model: Network | str | os.PathLike[str],
    data: Mapping[str, Data | None],
    *,
    folder: Path = Path(),
    weights: str | os.PathLike[str] | None = None,
    teacher: nn.Module | str | None = None,
    by: MeasuredBy = AS_NAMED,
) -> str:
    """The command that makes a bundle again, as one types it.

    Args:
        model: MODEL, or the network; a module comes with its weights.
        data: by role, each DATA or an object; what is None was not given.
        folder: of the bundle, whose recipe makes it again; by default the current one.
        weights: of a module that MODEL names.
        teacher: MODEL, or the network, where there is one.
        by: a metric, a postprocessing and a loss; the recipe names those that are objects.

    >>> command_again("nets.py:net", {"calibration": "a.npz", "evaluation": [], "train": None}, weights="net.pt")
    'edgecompress compress nets.py:net --weights net.pt --target recipe.toml --calibration a.npz --evaluation DATA'
    >>> command_again(nn.Linear(1, 1), {"calibration": []})
    'edgecompress compress MODEL --weights FILE --target recipe.toml --calibration DATA'
    """
    options: dict[str, str | None] = {
        "weights": _weights(model, weights),
        "target": str(folder / RECIPE),
        **{role: None if data.get(role) is None else _name(data[role], DATA) for role in ROLES},
        "teacher": None if teacher is None else _name(teacher, MODEL),
        "teacher-weights": FILE if isinstance(teacher, nn.Module) else None,
        **{key: value for key, value in vars(by).items() if isinstance(value, str)},
    }
    words = [word for name, value in options.items() if value is not None for word in (f"--{name}", value)]
    return shlex.join(["edgecompress", "compress", _name(model, MODEL), *words])


def _weights(model: object, weights: str | os.PathLike[str] | None) -> str | None:
    if weights is not None:
        return os.fspath(weights)
    return FILE if isinstance(model, nn.Module) else None


def _name(given: object, otherwise: str) -> str:
    return os.fspath(given) if isinstance(given, (str, os.PathLike)) else otherwise
