"""Saving of a pruned network, and loading into an instance of its own class."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from torch import nn

from edgecompress.errors import ModelError, OutputError
from edgecompress.modules.checks import check_module
from edgecompress.pruning.reload.configuration import tell_configurations
from edgecompress.pruning.reload.pruned_file import pruned_file, read_stored, read_values
from edgecompress.pruning.reload.rebuilding import fill, rebuild
from edgecompress.recipe.wording import in_python_words
from edgecompress.system.durable import write_whole


def save_pruned(model: nn.Module, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a pruned network into one file, whole or not at all; :meth:`edgecompress.ModelPruner.save` says which.

    Raises:
        ModelError: the network holds what no safetensors file can.
        OutputError: the file exists, or cannot be written.
    """
    place = _path(path, OutputError)
    if (place.exists() or place.is_symlink()) and not overwrite:
        raise OutputError(f"{str(place)!r} exists; choose another path, or save with overwrite=True")
    write_whole(place, pruned_file(model))


@in_python_words
def load_pruned(model: nn.Module, path: str | os.PathLike[str]) -> nn.Module:
    """A network as :meth:`ModelPruner.save` stored it, or as ``model.safetensors`` of a bundle holds it.

    Nothing in the file is executed: it is a list of tensors, and of what pruning made of the network's sizes. Of the
    attributes of the instance it can only make whole numbers smaller.

    Args:
        model: an instance of the class that was pruned, built with the same arguments; pruned or not, its values do not
            matter. Not modified.
        path: the file.

    Returns:
        A copy of ``model`` with the shapes and values of the stored network, in the modes, on the devices, in the
        dtypes and as trainable as ``model``. Removed blocks, masks and low-rank layers are there again. The
        configuration of a network of transformers says what it can say of it.

    Raises:
        ModelError: the file is not there, is not that of a pruned network, is that of another one, was changed, or
            was written by a newer version.
    """
    model = check_module(model)
    place = _path(path, ModelError)
    if not place.is_file():
        raise ModelError(f"{str(place)!r} {'is no file' if place.exists() else 'does not exist'}; check the path")
    try:
        with place.open("rb") as opened:
            return read_pruned(model, str(place), opened)
    except OSError as error:
        raise ModelError(f"{str(place)!r} cannot be read: {error.strerror}; make it readable") from error


def read_pruned(model: nn.Module, name: str, opened: BinaryIO) -> nn.Module:
    """A network as an open file holds it.

    Args:
        model: as in :func:`load_pruned`.
        name: of the file, for messages.
        opened: the file.

    Raises:
        ModelError: it is no file of a pruned network, that of another one, or was changed.
    """
    stored = read_stored(name, opened)
    network = rebuild(model, stored)
    fill(network, read_values(name, opened), stored.blueprint.shared)
    tell_configurations(model, network)
    return network


def _path(path: Any, kind: type[ModelError] | type[OutputError]) -> Path:
    if isinstance(path, (str, os.PathLike)):
        return Path(path)
    raise kind(f"the path is {path!r}; give a text or a Path")
