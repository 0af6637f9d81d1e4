"""The code that the results of a run rest on: the user's own, by its files, and this package's."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from torch import nn

import edgecompress
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.loading.user_code import folder_of
from edgecompress.recipe.tables import Recipe
from edgecompress.registry import CRITERIA, LOSSES, METRICS, OBSERVERS, TECHNIQUES, Kind, built_in
from edgecompress.runtime import Network

VERSIONED = ("torch", "builtins")
"""Packages whose versions are known anyway, and whose files are not looked at."""


def digest_sources(network: Network, recipe: Recipe, by: MeasuredBy) -> str | None:
    """Of all Python files in the folders of the network's classes, and of a metric, a postprocessing and a loss.

    Args:
        network: a module, whose classes count; another one has none.
        recipe: names the others, and so does ``by`` in place of it.

    Returns:
        The digest; None where code has no file, or is registered by another package, so that its changes would not
        show.
    """
    if not _is_ours_or_the_users(recipe):
        return None
    folders = [*_of_classes(network), *_of_functions(recipe, by)]
    if None in folders:
        return None
    return _digest(sorted({folder for folder in folders if folder is not None}))


@functools.cache
def digest_package() -> str:
    """Of the files of this package."""
    root = Path(edgecompress.__file__).parent
    return _hash(path for path in sorted(root.rglob("*")) if path.suffix in (".py", ".toml"))


def _is_ours_or_the_users(recipe: Recipe) -> bool:
    asked: dict[Kind, Iterable[str | None]] = {
        OBSERVERS: [recipe.quantization.observer],
        CRITERIA: [recipe.pruning.importance],
        METRICS: [recipe.evaluation.metric],
        LOSSES: [recipe.training.loss],
        TECHNIQUES: recipe.techniques,
    }
    return all(
        name is None or name in built_in(kind) or (kind.own_code and ":" in name)
        for kind, names in asked.items()
        for name in names
    )


def _of_classes(network: Network) -> Iterator[Path | None]:
    parts = network.modules() if isinstance(network, nn.Module) else ()
    for name in {kind.__module__ for part in parts for kind in type(part).__mro__}:
        if name.partition(".")[0] not in VERSIONED:
            yield _folder(name)


def _of_functions(recipe: Recipe, by: MeasuredBy) -> Iterator[Path | None]:
    named = (recipe.evaluation.metric, recipe.evaluation.postprocess, recipe.training.loss)
    for given, name in zip((by.metric, by.postprocess, by.loss), named, strict=True):
        if name is not None and ":" in name:
            own = isinstance(given, str) or given is None
            place = name.rpartition(":")[0]
            yield folder_of(name) if own and place.endswith(".py") else _folder(_module_of(given, place))


def _module_of(given: Any, place: str) -> str:
    known = given if hasattr(given, "__qualname__") else type(given)
    return place if isinstance(given, str) or given is None else str(known.__module__)


def _folder(module: str) -> Path | None:
    file = getattr(sys.modules.get(module), "__file__", None)
    return None if file is None else Path(file).resolve().parent


def _digest(folders: Iterable[Path]) -> str:
    return _hash(path for folder in folders for path in sorted(folder.glob("*.py")))


def _hash(files: Iterable[Path]) -> str:
    hasher = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        hasher.update(f"{path.name}:{len(content)};".encode())
        hasher.update(content)
    return hasher.hexdigest()
