"""Weights for a module: read as data, and never executed."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from edgecompress.errors import ModelError, first_line
from edgecompress.loading.pytorch_files import refuse_weights_file
from edgecompress.modules.plain import WRAPPED
from edgecompress.pruning.reload.pruned_file import is_pruned_file
from edgecompress.pruning.reload.saving import load_pruned
from edgecompress.system.archives import check_archive
from edgecompress.system.quiet import quiet_torch


def with_weights(module: nn.Module, path: Path) -> nn.Module:
    """The module, filled; or a copy of it that was shrunk first, as the file of a pruned network says.

    Raises:
        ModelError: the file cannot be read, or does not fit.
    """
    if is_pruned_file(path):
        return load_pruned(module, path)
    load_weights(module, path)
    return module


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill ``module`` from safetensors, or from a state dict that ``torch.load`` reads with ``weights_only``.

    Raises:
        ModelError: the file cannot be read as tensors, or its keys or shapes do not fit (they are named).
    """
    own = module.state_dict()
    state = _without_wrappers(_read_state(path), own)
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or extra:
        parts = [f"{word}: {_some(keys)}" for word, keys in (("missing", missing), ("unexpected", extra)) if keys]
        raise ModelError(f"weights {str(path)!r} do not fit the model ({'; '.join(parts)}); give this model's own")
    for name, value in own.items():
        if state[name].shape != value.shape:
            raise ModelError(
                f"weights {str(path)!r} do not fit the model: {name!r} has shape"
                f" {tuple(state[name].shape)}, the model's is {tuple(value.shape)}; give this model's own"
            )
    module.load_state_dict(state)


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise ModelError(f"weights file {str(path)!r} does not exist; check the path")
    refuse_weights_file(path)
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        else:
            if zipfile.is_zipfile(path):
                check_archive(path)
            with quiet_torch():
                state = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise ModelError(f"weights {str(path)!r} are not safetensors: {first_line(error)}; save them again") from None
    except Exception:  # torch.load raises whatever the bytes lead it to; none of it was executed
        raise ModelError(
            f"weights {str(path)!r} are no plain state dict and were not executed;"
            " save model.state_dict() with torch.save or safetensors"
        ) from None
    for key in ("state_dict", "model"):  # the checkpoint of a training holds it together with the optimizer's
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelError(f"weights {str(path)!r} hold no state dict; save model.state_dict()")
    return state


def _without_wrappers(state: dict[str, torch.Tensor], own: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """A state dict without what a wrapper put before all of its names."""
    for prefix in WRAPPED * 2:
        if state and all(key.startswith(prefix) for key in state) and not all(key.startswith(prefix) for key in own):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _some(keys: list[str], shown: int = 3) -> str:
    more = f" and {len(keys) - shown} more" if len(keys) > shown else ""
    return ", ".join(keys[:shown]) + more
