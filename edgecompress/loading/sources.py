"""DATA in every form that a user may give it, as something that every pass can open anew."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from edgecompress.arrays import Axes
from edgecompress.data.batches import ANY, NO_AXES, OTHER, Batches, Source, rereadable
from edgecompress.errors import DataError
from edgecompress.loading.data_files import FILES, read_file, refuse_other_data
from edgecompress.loading.folders.settling import settle_folders
from edgecompress.loading.texts import tokenized
from edgecompress.loading.user_code import folder_of, importable, require_no_arguments, resolve
from edgecompress.metrics.metric import DEFAULT, Measure, named_measure
from edgecompress.modules.named_inputs import input_names
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import Network, declared_shapes, network_rows

Data = str | os.PathLike[str] | Iterable[Any] | Dataset[Any] | Source


def load_data(spec: str, role: str, axes: Axes = NO_AXES) -> Source:
    """DATA: ``file.py:callable``, ``package.module:callable``, ``file.npz`` or ``file.npy``.

    What is called so may be the data themselves, such as a list or a ``DataLoader``.

    Args:
        spec: one of these.
        role: what the data is for, as messages call it.
        axes: along which axis an array of a file holds its samples, where that is not the first.

    Raises:
        DataError: it is missing or is none of these.
    """
    path = Path(spec)
    if path.suffix in FILES:
        if not path.is_file():
            raise DataError(f"{role} file {spec!r} does not exist; check the path")
        return lambda: read_file(path, axes)
    refuse_other_data(spec, role)
    factory = resolve(spec, DataError, f"{role} data", (Iterable, Dataset))
    with importable(folder_of(spec)):
        require_no_arguments(factory, spec, DataError)
    return factory


def open_source(data: Data, role: str, recipe: Recipe, network: Network | None = None) -> Source:
    """Any form of DATA as something that every pass can open anew.

    Args:
        data: in any form.
        role: what the data is for, as messages call it.
        recipe: says how folders and datasets become batches.
        network: for defaults of that, where it fixes them.

    Raises:
        DataError: the data cannot be opened, or can be read only once.
    """
    axes = recipe.export.batch_axes
    settled, recipe = settle_folders({role: data}, recipe, network)
    given = settled[role]
    if isinstance(given, (str, os.PathLike)):
        given = load_data(os.fspath(given), role, axes)
    fixed = None if network is None else network_rows(network, axes)
    rows = recipe.export.batch_size or fixed or recipe.data.batch_size
    source = rereadable(given if callable(given) else functools.partial(_same, given), role, rows, axes)
    return tokenized(source, network, recipe.data.max_tokens)


def open_batches(data: Data, role: str, network: Network, recipe: Recipe, measure: Measure | None = None) -> Batches:
    """Checked batches for a network from any form of DATA; evaluation and train data keep their labels.

    Networks are measured on them by ``measure``, by default top-1; for one that is not of classes, the labels of
    evaluation data have any form. Those of train data may have one, too, for a loss that reads it. For a metric of
    classes, ``training.ignore_index`` is a label that does not count; a loss is told of it.

    Raises:
        DataError: the data cannot be opened, or can be read only once.
    """
    source = open_source(data, role, recipe, network)
    measure = measure or named_measure(DEFAULT)
    training, is_judged = recipe.training, role == "evaluation"
    kinds = "iu" if training.task == "classification" else "iuf"
    any_form = not measure.of_classes if is_judged else training.loss is not None
    return Batches(
        role=role,
        source=source,
        inputs=input_names(network),
        declared=declared_shapes(network),
        use_labels=role in ("evaluation", "train"),
        label_kinds=ANY if any_form else kinds + OTHER * (role == "train"),
        ignore_index=training.ignore_index if is_judged and measure.of_classes else None,
        class_axis=recipe.evaluation.class_axis,
        axes=recipe.export.batch_axes,
        measure=measure,
    )


def _same(data: Any) -> Any:
    return data
