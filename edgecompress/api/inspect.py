"""Inspection in Python: the layers of a model or an artifact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, overload

from edgecompress.bundle.reading import Bundle
from edgecompress.errors import DataError
from edgecompress.inspection import Inspection, Sensitivities, inspect_model, inspect_sensitivity
from edgecompress.loading.sources import Data
from edgecompress.progress import Progress
from edgecompress.recipe.arguments import path
from edgecompress.recipe.wording import in_python_words
from edgecompress.runtime import Network
from edgecompress.targets import TargetProfile, given_profile


@overload
def inspect(
    model: Network | Bundle | str | Path,
    *,
    weights: str | Path | None = None,
    sensitivity: Literal[False] = False,
    calibration: Data | None = None,
    target: str | Path | TargetProfile = "mobile",
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> Inspection: ...


@overload
def inspect(
    model: Network | Bundle | str | Path,
    *,
    weights: str | Path | None = None,
    sensitivity: Literal[True],
    calibration: Data | None = None,
    target: str | Path | TargetProfile = "mobile",
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> Sensitivities: ...


@overload
def inspect(
    model: Network | Bundle | str | Path,
    *,
    weights: str | Path | None = None,
    sensitivity: bool,
    calibration: Data | None = None,
    target: str | Path | TargetProfile = "mobile",
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> Inspection | Sensitivities: ...


@in_python_words
def inspect(
    model: Network | Bundle | str | Path,
    *,
    weights: str | Path | None = None,
    sensitivity: bool = False,
    calibration: Data | None = None,
    target: str | Path | TargetProfile = "mobile",
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> Inspection | Sensitivities:
    """List the layers of a model or an artifact: weights, multiply-accumulates, bytes, precision, time.

    Args:
        model: a module, an exported program, an ONNX model or a bundle, none of which is modified; or MODEL, as on the
            command line (``file.py:callable``, ``package.module:callable``, ``model.onnx``, ``model.pt2``).
        weights: of a module that MODEL names: safetensors, or a state dict.
        sensitivity: say instead what the outputs lose with each layer alone as integers, or with half of its channels.
        calibration: batches to run it on, as :func:`compress` takes them; without them a module or a program is not
            timed. For ``sensitivity`` they are needed.
        target: for ``sensitivity``: name of a profile, path of a TOML file, or a profile.
        overrides: a list of ``KEY=VALUE`` for keys of the target's recipe.
        progress: what is told of the progress; by default nobody.

    Returns:
        The layers; with ``sensitivity`` what each of them costs, the one whose return to float pays most first.

    Raises:
        ModelError: the model cannot be loaded, run or captured.
        DataError: data is missing or does not fit.
        RecipeError: there is no such target or key, or an argument is of the wrong type.
    """
    recipe = given_profile(target, overrides).recipe
    source = model.artifact if isinstance(model, Bundle) else model
    kept = None if weights is None else path("weights", weights)
    told = progress or Progress()
    if not sensitivity:
        return inspect_model(source, kept, calibration, recipe, told)
    if calibration is None:
        raise DataError("--sensitivity runs the model on data; give --calibration")
    return inspect_sensitivity(source, kept, recipe, calibration, told)
