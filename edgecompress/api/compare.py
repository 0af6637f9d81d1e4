"""Comparison in Python: one model, compressed in every way."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from edgecompress.comparison import Comparison
from edgecompress.comparison import compare as compare_rows
from edgecompress.comparison.measured import Measured
from edgecompress.errors import DataError, RecipeError
from edgecompress.loading.losses import LossOrName
from edgecompress.loading.metrics import MeasuredBy, MetricOrName, PostprocessOrName
from edgecompress.loading.models import given_model, name_of
from edgecompress.loading.sources import Data
from edgecompress.progress import Progress
from edgecompress.recipe.arguments import Overrides, assignments, path
from edgecompress.recipe.wording import in_python_words
from edgecompress.runtime import Network


@in_python_words
def compare(
    model: Network | str | Path,
    *,
    calibration: Data,
    evaluation: Data | None = None,
    train: Data | None = None,
    weights: str | Path | None = None,
    overrides: Overrides = (),
    recipes: Sequence[str | Path] = (),
    output: str | Path | None = None,
    progress: Progress | None = None,
    tell: Callable[[Measured], None] = lambda _: None,
    metric: MetricOrName | None = None,
    postprocess: PostprocessOrName | None = None,
    loss: LossOrName | None = None,
) -> Comparison:
    """Compress a model in every way and put the artifacts next to each other; what was measured before is kept.

    Each row is a bundle in a folder of its own under ``output``, where ``comparison.json``, ``comparison.md`` and
    ``comparison.csv`` hold the table. A run that was killed goes on with the row that it was in.

    Args:
        model: a module, an exported program or an ONNX model, none of which is modified; or MODEL, as on the command
            line (``file.py:callable``, ``package.module:callable``, ``model.onnx``, ``model.pt2``).
        calibration: batches, as :func:`compress` takes them.
        evaluation: the same with labels, to measure on.
        train: the same with labels; rows that train are left out without it, and say so.
        weights: of a module that MODEL names: safetensors, or a state dict.
        overrides: for the recipe of every row: ``KEY=VALUE`` in a list, or values by key in a dict; a key that begins
            with ``ROW:`` is for that row.
        recipes: of the user's own, a row for each, called as its file: paths of TOML files, such as ``recipe.toml`` of
            a bundle, or names of targets.
        output: folder, made where there is none; by default ``<model>-compare`` in the current folder.
        progress: what is told of the progress; by default nobody.
        tell: told of every row, as soon as it is known.
        metric: what decides in every row, as :func:`compress` takes it.
        postprocess: what the outputs become before, as :func:`compress` takes it.
        loss: what training minimizes in rows that train, as :func:`compress` takes it.

    Raises:
        RecipeError: there is no such row or key, two rows would have one name, or an argument is of the wrong type.
        ModelError: the model cannot be loaded, run or captured.
        DataError: the data is missing or does not fit.
        OutputError: the folder holds other things, or cannot be written.
    """
    if calibration is None:
        raise DataError("rows are made with calibration data; give calibration")
    network = given_model(model, weights, progress)
    named = os.fspath(model) if isinstance(model, (str, os.PathLike)) else None
    return compare_rows(
        network,
        calibration=calibration,
        evaluation=evaluation,
        train=train,
        output=Path(f"{name_of(named or network)}-compare") if output is None else path("output", output),
        overrides=assignments("overrides", overrides),
        recipes=_recipes(recipes),
        progress=progress or Progress(),
        tell=tell,
        by=MeasuredBy(metric=metric, postprocess=postprocess, loss=loss),
        model=named,
        weights=weights,
    )


def _recipes(given: Sequence[str | Path]) -> tuple[str | Path, ...]:
    if isinstance(given, (str, os.PathLike)):
        return (given,)
    if not isinstance(given, (list, tuple)) or not all(isinstance(recipe, (str, os.PathLike)) for recipe in given):
        raise RecipeError(f"recipes is {given!r}; give a list of paths or names of targets")
    return tuple(given)
