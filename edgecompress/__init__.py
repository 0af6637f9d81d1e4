"""edgecompress: a trained PyTorch model in, a validated artifact for a device out.

The names below are the public surface. They are imported when they are first used, so that the
command line and its child processes start without PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgecompress.api.benchmark import benchmark
    from edgecompress.api.compare import compare
    from edgecompress.api.decomposition import LowRankDecomposition
    from edgecompress.api.diff import diff
    from edgecompress.api.distiller import Distiller
    from edgecompress.api.inspect import inspect
    from edgecompress.api.pruner import ModelPruner
    from edgecompress.api.quantizer import QuantizedModel, Quantizer
    from edgecompress.api.recommend import recommend
    from edgecompress.api.search import search
    from edgecompress.api.validate import validate
    from edgecompress.bundle.reading import Bundle, read_bundle
    from edgecompress.errors import (
        DataError,
        EdgecompressError,
        InputError,
        ModelError,
        OutputError,
        ParityError,
        RecipeError,
    )
    from edgecompress.pipeline.compress import compress
    from edgecompress.pruning.reload.saving import load_pruned
    from edgecompress.recipe.tables import Recipe
    from edgecompress.step import Refusal, StepResult
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
    "Refusal",
    "StepResult",
    "TargetProfile",
    "benchmark",
    "compare",
    "compress",
    "diff",
    "inspect",
    "load_profile",
    "load_pruned",
    "profile_names",
    "read_bundle",
    "recommend",
    "search",
    "validate",
]

_HOMES = {
    "api.benchmark": ("benchmark",),
    "api.compare": ("compare",),
    "api.decomposition": ("LowRankDecomposition",),
    "api.diff": ("diff",),
    "api.distiller": ("Distiller",),
    "api.inspect": ("inspect",),
    "api.pruner": ("ModelPruner",),
    "api.quantizer": ("QuantizedModel", "Quantizer"),
    "api.recommend": ("recommend",),
    "api.search": ("search",),
    "api.validate": ("validate",),
    "bundle.reading": ("Bundle", "read_bundle"),
    "errors": (
        "DataError",
        "EdgecompressError",
        "InputError",
        "ModelError",
        "OutputError",
        "ParityError",
        "RecipeError",
    ),
    "pipeline.compress": ("compress",),
    "pruning.reload.saving": ("load_pruned",),
    "recipe.tables": ("Recipe",),
    "step": ("Refusal", "StepResult"),
    "targets": ("TargetProfile", "load_profile", "profile_names"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
