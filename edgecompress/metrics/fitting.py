"""Which metric reads labels of a form: where top-1, the default, does not, or says little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from edgecompress.arrays import Array
from edgecompress.metrics.described import described
from edgecompress.metrics.targets import is_array, is_numbers

MASK_AXES = 3
"""Samples, height and width."""
IMAGE_AXES = 4
BOX_SIDES = range(4, 7)
"""How many numbers a box has: its four sides, and a class or a score."""


class Fit(NamedTuple):
    """What labels are, and what to give for them."""

    labels: str
    give: str


OF_BOXES = Fit("boxes", "--metric map, and --postprocess with what makes boxes of the outputs")
OF_TEXTS = Fit("texts", "--metric wer, or cer, and --postprocess with what makes texts of the outputs")
OF_SEQUENCES = Fit("lists of classes, each of its own length", "--metric wer, or pad them with -100")
OF_UNEQUAL_MASKS = Fit("masks of unequal sizes", "them the size of the outputs, and --metric miou")
OF_SEVERAL_CLASSES = Fit("0 or 1 for each class", "--metric auroc")


def fitting_metric(labels: Any) -> Fit | None:
    """What labels are that are no class indices, and the options that measure a network by them.

    None where nothing is known of their form.

    >>> fitting_metric(["a cat", "two dogs"]).give
    '--metric wer, or cer, and --postprocess with what makes texts of the outputs'
    >>> fitting_metric(np.array([0.5, 2.25]))
    Fit(labels='float64 (2,)', give='--metric mae, or rmse')
    """
    if isinstance(labels, Mapping):
        return OF_BOXES if "boxes" in labels else None
    numbers = _numbers(labels)
    if numbers is not None and numbers.dtype.kind == "f":
        return _of_floats(numbers)
    return _of_a_list(labels) if isinstance(labels, (list, tuple)) else None


def masks_in_words(labels: Any) -> str | None:
    """What labels are that top-1 says little of, with what to give: classes for each place of a sample; else None.

    >>> masks_in_words(np.zeros((8, 48, 64), int))
    'masks of 48 x 64 places, where top-1 hardly counts small classes; give --metric miou'
    >>> masks_in_words(np.zeros((8, 48), int))
    """
    numbers = _numbers(labels)
    if numbers is None or numbers.dtype.kind not in "iu" or numbers.ndim < MASK_AXES:
        return None
    places = " x ".join(map(str, numbers.shape[1:]))
    return f"masks of {places} places, where top-1 hardly counts small classes; give --metric miou"


def _of_a_list(labels: Sequence[Any]) -> Fit | None:
    """Of entries of one kind; None of any other."""
    if any(isinstance(entry, Mapping) and "boxes" in entry for entry in labels):
        return OF_BOXES
    if labels and all(isinstance(entry, (str, bytes)) for entry in labels):
        return OF_TEXTS
    entries = [_numbers(entry) for entry in labels]
    known = [entry for entry in entries if entry is not None]
    if not known or len(known) < len(entries):
        return None
    kinds, axes = {entry.dtype.kind for entry in known if entry.size}, {entry.ndim for entry in known if entry.size}
    if kinds == {"f"} and axes == {2} and {entry.shape[1] for entry in known if entry.size} <= {*BOX_SIDES}:
        return OF_BOXES
    if kinds <= {"i", "u"} and axes == {1}:
        return OF_SEQUENCES
    if kinds <= {"i", "u"} and axes == {2}:
        return OF_UNEQUAL_MASKS
    return None


def _of_floats(labels: Array) -> Fit | None:
    """Of numbers for each sample; None for classes that are one-hot, or floats only by their type."""
    if labels.ndim > 1 and np.isin(labels, (0, 1)).all():
        return None if (labels.sum(1) == 1).all() else OF_SEVERAL_CLASSES
    if labels.ndim == 1 and (labels == np.round(labels)).all():
        return None
    of_images = ", or psnr of images" if labels.ndim == IMAGE_AXES else ""
    return Fit(described(labels), f"--metric mae, or rmse{of_images}")


def _numbers(value: Any) -> Array | None:
    """An array of numbers, of an array, a tensor or a list of numbers; None of anything else."""
    try:
        found = np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return found if is_numbers(found) and (is_array(value) or isinstance(value, (list, tuple))) else None
