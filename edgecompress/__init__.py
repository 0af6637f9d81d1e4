"""edgecompress: a trained PyTorch model in, a validated artifact for a device out.

The names below are the public surface. They are imported when they are first used, so that the
command line and its child processes start without PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgecompress.decomposition import LowRankDecomposition
    from edgecompress.distiller import Distiller
    from edgecompress.errors import (
        DataError,
        EdgecompressError,
        InputError,
        ModelError,
        OutputError,
        ParityError,
        RecipeError,
    )
    from edgecompress.exporters.bundle import Bundle, read_bundle
    from edgecompress.pipeline import compress
    from edgecompress.pruner import ModelPruner
    from edgecompress.pruning.reload.storing import load_pruned
    from edgecompress.quantizer import QuantizedModel, Quantizer
    from edgecompress.recipe import Recipe
    from edgecompress.targets import TargetProfile, load_profile, profile_names

__all__ = [
    "Bundle",
    "DataError",
    "Distiller",
    "EdgecompressError",
    "InputError",
    "LowRankDecomposition",
    "ModelError",
    "ModelPruner",
    "OutputError",
    "ParityError",
    "QuantizedModel",
    "Quantizer",
    "Recipe",
    "RecipeError",
    "TargetProfile",
    "compress",
    "load_profile",
    "load_pruned",
    "profile_names",
    "read_bundle",
]

_HOMES = {
    "decomposition": ("LowRankDecomposition",),
    "distiller": ("Distiller",),
    "errors": (
        "DataError",
        "EdgecompressError",
        "InputError",
        "ModelError",
        "OutputError",
        "ParityError",
        "RecipeError",
    ),
    "exporters.bundle": ("Bundle", "read_bundle"),
    "pipeline": ("compress",),
    "pruner": ("ModelPruner",),
    "pruning.reload.storing": ("load_pruned",),
    "quantizer": ("QuantizedModel", "Quantizer"),
    "recipe": ("Recipe",),
    "targets": ("TargetProfile", "load_profile", "profile_names"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
