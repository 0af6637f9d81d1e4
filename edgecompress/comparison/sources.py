"""The code that the results of a run rest on: the user's own, by its files, and this package's."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from torch import nn

import edgecompress
from edgecompress.comparison.code_files import file_of, files_below, loaded_files, module_file
from edgecompress.errors import InputError
from edgecompress.loading.losses import find_loss
from edgecompress.loading.metrics import MeasuredBy, open_metric
from edgecompress.recipe.tables import Recipe
from edgecompress.registry import CRITERIA, LOSSES, METRICS, OBSERVERS, TECHNIQUES, Kind, built_in
from edgecompress.runtime import Network

VERSIONED = ("torch", "builtins")
"""Packages whose versions are known anyway, and whose files are not looked at."""
MOST_FILES = 10_000
"""Files of code that are read; a folder with more of them is no project, but the place of many."""


def digest_sources(network: Network, recipe: Recipe, by: MeasuredBy) -> str | None:
    """Of the user's Python files: those that are loaded, and all below the folders of the code that is named.

    That is the code of the network's classes, of a metric, a postprocessing and a loss.

    Args:
        network: a module, whose classes count; another one has none.
        recipe: names the others, and so does ``by`` in place of it. All that it names is loaded.

    Returns:
        The digest; None where code has no file, is registered by another package, so that its changes would not show,
        or lies in a folder with more than 10,000 files of code, or with one that cannot be read.
    """
    if not _is_ours_or_the_users(recipe) or not _is_loaded(recipe, by):
        return None
    named = {*_of_classes(network), *_of_functions(recipe, by)}
    folders = sorted({file.parent for file in named if file is not None})
    if None in named:
        return None
    below = itertools.chain.from_iterable(map(files_below, folders))
    files = {*itertools.islice(below, MOST_FILES + 1), *loaded_files()}
    if len(files) > MOST_FILES:
        return None
    try:
        return _hash(sorted(files))
    except OSError:
        return None


@functools.cache
def digest_package() -> str:
    """Of the files of this package."""
    root = Path(edgecompress.__file__).parent
    return _hash(path for path in sorted(root.rglob("*")) if path.suffix in (".py", ".toml"))


def foreign_names(recipe: Recipe) -> frozenset[str]:
    """What a recipe names that is not of this package, each with what it is: ``metric own.py:Score``.

    >>> foreign_names(Recipe.model_validate({"training": {"loss": "own.py:focal"}}))
    frozenset({'training.loss own.py:focal'})
    """
    found = {f"{kind.key} {name}" for kind, name in _asked(recipe) if name not in built_in(kind)}
    named = recipe.evaluation.postprocess
    return frozenset(found if named is None else {*found, f"postprocess {named}"})


def _asked(recipe: Recipe) -> Iterator[tuple[Kind, str]]:
    asked: dict[Kind, Iterable[str | None]] = {
        OBSERVERS: [recipe.quantization.observer],
        CRITERIA: [recipe.pruning.importance],
        METRICS: [recipe.evaluation.metric],
        LOSSES: [recipe.training.loss],
        TECHNIQUES: recipe.techniques,
    }
    yield from ((kind, name) for kind, names in asked.items() for name in names if name is not None)


def _is_ours_or_the_users(recipe: Recipe) -> bool:
    return all(name in built_in(kind) or (kind.own_code and ":" in name) for kind, name in _asked(recipe))


def _of_classes(network: Network) -> Iterator[Path | None]:
    parts = network.modules() if isinstance(network, nn.Module) else ()
    for name in {kind.__module__ for part in parts for kind in type(part).__mro__}:
        if name.partition(".")[0] not in VERSIONED:
            yield module_file(name)


def _of_functions(recipe: Recipe, by: MeasuredBy) -> Iterator[Path | None]:
    for given, name in zip((by.metric, by.postprocess, by.loss), _named(recipe), strict=True):
        if name is not None and ":" in name:
            yield file_of(name, given)


def _named(recipe: Recipe) -> tuple[str | None, str | None, str | None]:
    return recipe.evaluation.metric, recipe.evaluation.postprocess, recipe.training.loss


def _is_loaded(recipe: Recipe, by: MeasuredBy) -> bool:
    """Load what a recipe names, with all that it imports."""
    loss = recipe.training.loss
    try:
        open_metric(recipe, by, lambda _: None)
        if loss is not None and ":" in loss:
            find_loss(loss, by.loss)
    except InputError:  # whoever uses it tells why
        return False
    return True


def _hash(files: Iterable[Path]) -> str:
    hasher = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        hasher.update(f"{path.name}:{len(content)};".encode())
        hasher.update(content)
    return hasher.hexdigest()
