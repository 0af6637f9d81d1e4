"""Inspection in Python: the layers of a model or an artifact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict, Unpack, overload

from edgecompress.bundle.reading import Bundle
from edgecompress.errors import DataError, RecipeError
from edgecompress.inspection import Inspection, Sensitivities, inspect_model, inspect_sensitivity
from edgecompress.inspection.placed import PlacedNetwork, inspect_placed
from edgecompress.loading.metrics import AS_NAMED, MeasuredBy, MetricOrName, PostprocessOrName
from edgecompress.loading.sources import Data
from edgecompress.progress import Progress
from edgecompress.recipe.arguments import Overrides, names, path
from edgecompress.recipe.recorded import missing_names
from edgecompress.recipe.tables import Evaluation
from edgecompress.recipe.wording import in_python_words
from edgecompress.runtime import Network
from edgecompress.targets import TargetProfile, recorded_profile

Model = Network | Bundle | str | Path


class Options(TypedDict, total=False):
    """The keywords of :func:`inspect` that do not say what it returns; it says what they are."""

    weights: str | Path | None
    calibration: Data | None
    evaluation: Data | None
    target: str | Path | TargetProfile
    overrides: Sequence[str]
    progress: Progress | None
    metric: MetricOrName | None
    postprocess: PostprocessOrName | None


@overload
def inspect(model: Model, *, sensitivity: Literal[False] = False, **options: Unpack[Options]) -> Inspection: ...


@overload
def inspect(model: Model, *, sensitivity: Literal[True], **options: Unpack[Options]) -> Sensitivities: ...


@overload
def inspect(
    model: Model, *, sensitivity: bool, on: str | None, **options: Unpack[Options]
) -> Inspection | Sensitivities | PlacedNetwork: ...


@overload
def inspect(model: Model, *, on: str, **options: Unpack[Options]) -> PlacedNetwork: ...


@in_python_words
def inspect(
    model: Model,
    *,
    weights: str | Path | None = None,
    sensitivity: bool = False,
    calibration: Data | None = None,
    evaluation: Data | None = None,
    target: str | Path | TargetProfile = "mobile",
    overrides: Overrides = (),
    progress: Progress | None = None,
    metric: MetricOrName | None = None,
    postprocess: PostprocessOrName | None = None,
    on: str | None = None,
) -> Inspection | Sensitivities | PlacedNetwork:
    """List the layers of a model or an artifact: weights, multiply-accumulates, bytes, precision, time.

    Args:
        model: a module, an exported program, an ONNX model or a bundle, none of which is modified; or MODEL, as on the
            command line (``file.py:callable``, ``package.module:callable``, ``model.onnx``, ``model.pt2``,
            ``hf:NAME``, ``timm:NAME``).
        weights: of a module that MODEL names: safetensors, or a state dict.
        sensitivity: say instead what the outputs lose with one layer at a time as integers, or with half of its
            channels.
        calibration: batches to run it on, as :func:`compress` takes them; without them a module or a program is not
            timed. For ``sensitivity`` they are needed.
        evaluation: for ``sensitivity``: the same with labels; what the metric loses with one layer at a time as
            integers is measured on them.
        target: for ``sensitivity``: name of a profile, path of a TOML file, or a profile.
        overrides: ``KEY=VALUE`` in a list, or values by key in a dict, for keys of the target's recipe.
        progress: what is told of the progress; by default nobody.
        metric: what is measured on ``evaluation``, as :func:`compress` takes it.
        postprocess: what the outputs become before, as :func:`compress` takes it.
        on: say instead where each node of an artifact, a bundle or an ONNX file, runs: ``RUNTIME`` or
            ``RUNTIME:DEVICE``, or a target that is made for one, such as ``snapdragon``.

    Returns:
        The layers; with ``on`` the nodes in the order in which they run there; with ``sensitivity`` what each layer
        costs, the one whose return to float pays most first.

    Raises:
        ModelError: the model cannot be loaded, run or captured.
        DataError: data is missing or does not fit.
        RecipeError: there is no such target or key, or an argument is of the wrong type.
    """
    if on is not None:
        if sensitivity or any(given is not None for given in (weights, calibration, evaluation)):
            raise RecipeError("at another place an artifact runs as it is; leave out all but the bundle and --on")
        return _placed(model, on, progress or Progress())
    recipe, told = recorded_profile(target, overrides).recipe, progress or Progress()
    source = model.artifact if isinstance(model, Bundle) else model
    kept, by = None if weights is None else path("weights", weights), MeasuredBy(metric=metric, postprocess=postprocess)
    if by != AS_NAMED and evaluation is None:
        raise DataError("a metric is measured on data with labels; give --evaluation")
    for line in missing_names(recipe):
        told.warn(line)
    if evaluation is None:  # nothing is measured
        recipe = recipe.model_copy(update={"evaluation": Evaluation(class_axis=recipe.evaluation.class_axis)})
    if not sensitivity:
        if evaluation is not None:
            raise RecipeError("layers are measured on evaluation data for --sensitivity only; give it, too")
        return inspect_model(source, kept, calibration, recipe, told)
    if calibration is None:
        raise DataError("--sensitivity runs the model on data; give --calibration")
    data = {"calibration": calibration} | ({} if evaluation is None else {"evaluation": evaluation})
    return inspect_sensitivity(source, kept, recipe, data, told, by)


def _placed(model: Model, on: str, progress: Progress) -> PlacedNetwork:
    if not isinstance(model, (Bundle, str, Path)):
        raise RecipeError("only a file runs at other places; give a bundle, or the path of an ONNX file")
    (place,) = names("on", (on,), "runtimes")
    return inspect_placed(model, place, progress)
