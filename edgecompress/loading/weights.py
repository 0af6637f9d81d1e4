"""Weights for a module: read as data, and never executed."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from edgecompress.errors import ModelError, first_line
from edgecompress.loading.checkpoints import fitting_states, nearest_state
from edgecompress.loading.pytorch_files import holds_module, refuse_weights_file, saved_weights
from edgecompress.progress import Progress
from edgecompress.pruning.reload.pruned_file import is_pruned_file
from edgecompress.pruning.reload.saving import load_pruned
from edgecompress.system.archives import check_archive
from edgecompress.system.isolation import OF_WEIGHTS
from edgecompress.system.quiet import quiet_torch

WHOLE_MODELS = (".onnx", ".pt2")
"""Of files that hold the network, too."""


def with_weights(module: nn.Module, path: Path, progress: Progress | None = None) -> nn.Module:
    """The module, filled; or a copy of it that was shrunk first, as the file of a pruned network says.

    Args:
        module: as its code makes it.
        path: of the file.
        progress: told what was taken, where that is not all, or where names had a prefix.

    Raises:
        ModelError: the file cannot be read, or does not fit.
    """
    if is_pruned_file(path):
        return load_pruned(module, path)
    load_weights(module, path, progress)
    return module


def load_weights(module: nn.Module, path: Path, progress: Progress | None = None) -> None:
    """Fill ``module`` from safetensors, or from what ``torch.load`` reads with ``weights_only``.

    A checkpoint may hold more: the tensors are taken whose shapes fit, and whose names do behind a prefix.

    Raises:
        ModelError: the file cannot be read as tensors, or none of them fit, or several times.
    """
    own, checkpoint = module.state_dict(), _read(path)
    found = fitting_states(checkpoint, own)
    if not found:
        raise _misfit(path, nearest_state(checkpoint, own), own)
    if len(found) > 1:
        places = ", ".join(state.place for state in found)
        raise ModelError(
            f"weights {str(path)!r} fit the model {len(found)} times ({places}); save those to"
            " take in a file of their own"
        )
    (state,) = found
    if progress is not None and not state.is_plain:
        others = f"; other tensors there ({state.left_out}) are left out" if state.left_out else ""
        progress.warn(f"weights {str(path)!r}: taken from {state.place}{others}")
    module.load_state_dict(state.tensors)


def _misfit(path: Path, state: Mapping[str, Tensor] | None, own: Mapping[str, Tensor]) -> ModelError:
    """Why a file does not fit."""
    if state is None:
        return ModelError(f"weights {str(path)!r} hold no state dict; save model.state_dict()")
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or extra:
        parts = [f"{word}: {_some(keys)}" for word, keys in (("missing", missing), ("unexpected", extra)) if keys]
        return ModelError(f"weights {str(path)!r} do not fit the model ({'; '.join(parts)}); give this model's own")
    name = next(name for name, value in own.items() if state[name].shape != value.shape)
    return ModelError(
        f"weights {str(path)!r} do not fit the model: {name!r} has shape {tuple(state[name].shape)}, the model's is"
        f" {tuple(own[name].shape)}; give this model's own"
    )


def _require_weights(path: Path) -> None:
    """Refuse what is no file of weights by its place or its name."""
    if path.is_dir():
        inside = sorted(each for each in path.iterdir() if each.suffix in OF_WEIGHTS)
        fix = f"give {inside[0]}" if len(inside) == 1 else f"give the file in it ({', '.join(OF_WEIGHTS)})"
        raise ModelError(f"weights {str(path)!r} are a folder; {fix}")
    if path.suffix in WHOLE_MODELS:
        raise ModelError(f"weights {str(path)!r} are a whole model; give it as MODEL, without --weights")
    if not path.is_file():
        is_code = ".py:" in str(path)
        fix = "it is code: give it as MODEL, and a file such as w.pt here" if is_code else "check the path"
        raise ModelError(f"weights file {str(path)!r} does not exist; {fix}")


def _read(path: Path) -> object:
    _require_weights(path)
    refuse_weights_file(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if zipfile.is_zipfile(path):
            check_archive(path)
        with quiet_torch():
            return torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise ModelError(f"weights {str(path)!r} are not safetensors: {first_line(error)}; save them again") from None
    except Exception:  # torch.load raises whatever the bytes lead it to; none of it was executed
        if holds_module(path):
            raise ModelError(
                f"weights {str(path)!r} are a pickled module, which is not executed; {saved_weights(path)}"
            ) from None
        raise ModelError(
            f"weights {str(path)!r} are no plain state dict and were not executed;"
            " save model.state_dict() with torch.save or safetensors"
        ) from None


def _some(keys: list[str], shown: int = 3) -> str:
    more = f" and {len(keys) - shown} more" if len(keys) > shown else ""
    return ", ".join(keys[:shown]) + more
