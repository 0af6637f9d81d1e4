"""DATA in every form that a user may give it, as something that every pass can open anew."""

from __future__ import annotations

import csv
import functools
import io
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgecompress.arrays import Axes, batch_sizes
from edgecompress.data.batches import ANY, OTHER, Batch, Batches, Source, rereadable
from edgecompress.errors import DataError, first_line
from edgecompress.loading.user_code import folder_of, importable, require_no_arguments, resolve
from edgecompress.metrics.metric import DEFAULT, Measure, named_measure
from edgecompress.modules.named_inputs import input_names
from edgecompress.recipe.tables import Images, Recipe
from edgecompress.runtime import Network
from edgecompress.system.archives import read_npz

NO_AXES: Axes = {}
NPZ_BATCH_ROWS = 32
IMAGE_BATCH_ROWS = 16
IMAGE_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What is decoded; among Pillow's other formats are some for which it starts a program."""
MAX_PIXELS = 2**26
Data = str | os.PathLike[str] | Iterable[Any] | Source


def load_data(spec: str, role: str, images: Images, axes: Axes = NO_AXES) -> Source:
    """DATA: ``file.py:callable``, ``package.module:callable``, ``file.npz``, or a folder with ``labels.csv``.

    Args:
        spec: one of these.
        role: what the data is for, as messages call it.
        images: how a folder of images is read.
        axes: along which axis an array of a ``file.npz`` holds its samples, where that is not the first.

    Raises:
        DataError: it is missing or is none of these.
    """
    path = Path(spec)
    if path.is_dir():
        return lambda: _read_images(path, images)
    if path.suffix == ".npz":
        if not path.is_file():
            raise DataError(f"{role} file {spec!r} does not exist; check the path")
        return lambda: _read_npz(path, axes)
    factory = resolve(spec, DataError, f"{role} data")
    with importable(folder_of(spec)):
        require_no_arguments(factory, spec, DataError)
    return factory


def _read_npz(path: Path, axes: Axes) -> Iterable[Any]:
    """Batches of ``NPZ_BATCH_ROWS`` rows: a dict of inputs, with the labels where the file has them."""
    try:
        arrays = read_npz(path)
    except Exception:  # numpy's reasons advise to unpickle, which is never done here
        raise DataError(
            f"{str(path)!r} cannot be read as npz: it is damaged, no npz, larger than memory, or holds objects;"
            " write arrays with numpy.savez"
        ) from None
    lengths = {name: batch_sizes({name: array.shape}, axes) for name, array in arrays.items() if array.ndim}
    sizes = {name: size[0] for name, size in lengths.items() if size}
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise DataError(
            f"{str(path)!r}: arrays need the same first dimension, not {sizes}; save one row for each sample, or name"
            " the axis that holds the samples (export.batch_axes.NAME)"
        )
    whole = Batch(inputs=arrays, axes=axes)
    return [whole.slice(start, start + NPZ_BATCH_ROWS).inputs for start in range(0, whole.rows, NPZ_BATCH_ROWS)]


def _read_images(folder: Path, images: Images) -> Iterator[Any]:
    """Batches of ``IMAGE_BATCH_ROWS`` images as float32 (rows, 3, height, width), with their labels."""
    rows = _read_labels(folder)
    for start in range(0, len(rows), IMAGE_BATCH_ROWS):
        part = rows[start : start + IMAGE_BATCH_ROWS]
        pixels = np.stack([_read_image(folder / name, images) for name, _ in part])
        yield pixels, np.array([label for _, label in part], np.int64)


def _read_labels(folder: Path) -> list[tuple[str, int]]:
    table = folder / "labels.csv"
    if not table.is_file():
        raise DataError(f"folder {str(folder)!r} has no labels.csv; write one line 'image,label' for each image")
    try:
        text = table.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{str(table)!r} is not UTF-8 text; save it as UTF-8") from None
    rows: list[tuple[str, int]] = []
    for number, fields in enumerate(csv.reader(io.StringIO(text)), 1):
        if len(fields) == 2 and fields[1].strip().isdigit():
            rows.append((fields[0], int(fields[1])))
        elif fields and number > 1:  # the first line may be a header
            raise DataError(
                f"{str(table)!r} line {number} is {','.join(fields)!r}; write 'image,label', the label a class from 0"
            )
    return rows


def _read_image(path: Path, images: Images) -> np.ndarray[Any, np.dtype[np.float32]]:

    from PIL import Image

    height, width = images.size
    try:
        with warnings.catch_warnings(), Image.open(path, formats=IMAGE_FORMATS) as image:
            warnings.simplefilter("ignore")
            if math.prod(image.size) > MAX_PIXELS:
                raise ValueError(f"it has {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
            pixels = np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR), np.float32)
    except Exception as error:  # each decoder has exceptions of its own for what is damaged
        raise DataError(
            f"image {str(path)!r} cannot be read: {first_line(error)}; repair the file, or take it out of labels.csv"
        ) from None
    normalized = (pixels / 255 - np.array(images.mean, np.float32)) / np.array(images.std, np.float32)
    return np.ascontiguousarray(normalized.transpose(2, 0, 1))


def open_source(data: Data, role: str, recipe: Recipe) -> Source:
    """Any form of DATA as something that every pass can open anew.

    Raises:
        DataError: the data cannot be opened, or can be read only once.
    """
    if isinstance(data, (str, os.PathLike)):
        return rereadable(load_data(os.fspath(data), role, recipe.images, recipe.export.batch_axes), role)
    return rereadable(data if callable(data) else functools.partial(_same, data), role)


def open_batches(data: Data, role: str, network: Network, recipe: Recipe, measure: Measure | None = None) -> Batches:
    """Checked batches for a network from any form of DATA; evaluation and train data keep their labels.

    Networks are measured on them by ``measure``, by default top-1; for one that is not of classes, the labels of
    evaluation data have any form. Those of train data may have one, too, for a loss that reads it. For a metric of
    classes, ``training.ignore_index`` is a label that does not count; a loss is told of it.

    Raises:
        DataError: the data cannot be opened, or can be read only once.
    """
    source = open_source(data, role, recipe)
    measure = measure or named_measure(DEFAULT)
    training, is_judged = recipe.training, role == "evaluation"
    kinds = "iu" if training.task == "classification" else "iuf"
    any_form = not measure.of_classes if is_judged else training.loss is not None
    return Batches(
        role=role,
        source=source,
        inputs=input_names(network),
        use_labels=role in ("evaluation", "train"),
        label_kinds=ANY if any_form else kinds + OTHER * (role == "train"),
        ignore_index=training.ignore_index if is_judged and measure.of_classes else None,
        class_axis=recipe.evaluation.class_axis,
        axes=recipe.export.batch_axes,
        measure=measure,
    )


def _same(data: Iterable[Any]) -> Iterable[Any]:
    return data
