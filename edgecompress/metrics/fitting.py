"""Which metric reads labels of a form: where top-1, the default, does not, or says little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from edgecompress.arrays import Array
from edgecompress.metrics.described import described
from edgecompress.metrics.targets import is_array, is_numbers

BINARY = "fb"
"""NumPy's letters of the dtypes that no class index has."""
MASK_AXES = 3
"""Samples, height and width."""
IMAGE_AXES = 4
BOX_AXES = 3
"""Samples, boxes of a sample, and numbers of a box."""
PADDING = -1
"""Where samples have unequally many boxes."""
BOX_SIDES = range(4, 7)
"""How many numbers a box has: its four sides, and a class or a score."""


class Fit(NamedTuple):
    """What labels are, what to give for them, and what to give where a metric of classes was named."""

    labels: str
    give: str
    as_classes: str = ""

    def advice(self, named: bool) -> str:
        """What to give; no other metric where the one that was ``named`` reads the labels in another form.

        >>> OF_MASKS.advice(named=False), OF_MASKS.advice(named=True)
        ('them as integers, labels.long(), and --metric miou', 'them as integers, labels.long()')
        """
        return self.as_classes if named and self.as_classes else self.give


MADE_OF_OUTPUTS = "--postprocess with a function that makes them of the outputs (file.py:callable, docs/metrics.md)"
OF_BOXES = Fit("boxes", f"--metric map, and {MADE_OF_OUTPUTS}")
OF_TEXTS = Fit("texts", f"--metric wer, or cer, and {MADE_OF_OUTPUTS}")
OF_SEQUENCES = Fit(
    "lists of classes, each of its own length",
    "--metric wer, or pad them with -100",
    "them one length, padded with -100",
)


def _masks(labels: str, form: str) -> Fit:
    return Fit(labels, f"{form}, and --metric miou", form)


OF_UNEQUAL_MASKS = _masks("masks of unequal sizes", "them the size of the outputs")
OF_MASKS = _masks("masks of 0 and 1", "them as integers, labels.long()")
OF_MASKS_OF_A_CHANNEL = _masks("masks of 0 and 1", "them as integers without the channel, labels.squeeze(1).long()")
OF_ONE_HOT = {axis: _masks("one-hot masks", f"classes, labels.argmax({axis})") for axis in (1, -1)}
OF_SEVERAL_CLASSES = Fit("0 or 1 for each class", "--metric auroc")


def fitting_metric(labels: Any) -> Fit | None:
    """What labels are that are no class indices, and the options that measure a network by them.

    None where nothing is known of their form.

    >>> fitting_metric(["a cat", "two dogs"]).give.partition(", and")[0]
    '--metric wer, or cer'
    >>> fitting_metric(np.array([0.5, 2.25]))[:2]
    ('float64 (2,)', '--metric mae, or rmse')
    """
    if isinstance(labels, Mapping):
        return OF_BOXES if "boxes" in labels else None
    numbers = _numbers(labels)
    if numbers is not None and numbers.dtype.kind in BINARY:
        return _of_floats(numbers)
    return _of_a_list(labels) if isinstance(labels, (list, tuple)) else None


def masks_in_words(labels: Any) -> str | None:
    """What labels are that top-1 says little of, with what to give: classes for each place of a sample; else None.

    One-hot masks are those that have a 1 for each place, along axis 1 or the last one.

    >>> masks_in_words(np.zeros((8, 48, 64), int))
    'masks of 48 x 64 places, where top-1 hardly counts small classes; give --metric miou'
    >>> masks_in_words(np.zeros((8, 48), int))
    >>> masks_in_words(np.eye(3, dtype=int)[np.zeros((8, 48, 64), int)])
    'one-hot masks; give classes, labels.argmax(-1), and --metric miou'
    """
    numbers = _numbers(labels)
    if numbers is None or numbers.dtype.kind not in "iu" or numbers.ndim < MASK_AXES:
        return None
    if (axis := _one_hot_axis(numbers)) is not None:
        return f"{OF_ONE_HOT[axis].labels}; give {OF_ONE_HOT[axis].give}"
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
        axis = _one_hot_axis(labels)
        if labels.ndim < MASK_AXES:
            return None if axis is not None else OF_SEVERAL_CLASSES
        if axis is not None:
            return OF_ONE_HOT[axis]
        return OF_MASKS_OF_A_CHANNEL if labels.ndim == IMAGE_AXES and labels.shape[1] == 1 else OF_MASKS
    if labels.ndim == BOX_AXES and labels.shape[2] in BOX_SIDES and ((labels >= 0) | (labels == PADDING)).all():
        return OF_BOXES
    is_whole = bool((labels == np.round(labels)).all())
    return None if labels.ndim == 1 and is_whole else _of_numbers(labels, is_whole=is_whole)


def _of_numbers(labels: Array, *, is_whole: bool) -> Fit:
    """Of numbers, which are classes where a metric of classes was named: those are whole."""
    of_images = ", or psnr of images" if labels.ndim == IMAGE_AXES else ""
    numbers = f"--metric mae, or rmse{of_images}"
    if not is_whole:
        return Fit(described(labels), numbers, "classes as integers, which these numbers are not")
    has_channel = labels.ndim == IMAGE_AXES and labels.shape[1] == 1
    as_classes = f"them as integers, labels.{'squeeze(1).' if has_channel else ''}long()"
    if labels.ndim < MASK_AXES or (labels.ndim == IMAGE_AXES and not has_channel):
        return Fit(described(labels), numbers, as_classes)
    masks = f"{numbers}; masks of classes {as_classes.removeprefix('them ')}, and --metric miou"
    return Fit(described(labels), masks, as_classes)


def _one_hot_axis(labels: Array) -> int | None:
    """Along which axis, 1 or the last, labels of 0 and 1 hold a single 1; None where neither does.

    A mask of 0 and 1 without a channel, (rows, height, width), has rarely a single 1 in each column.
    """
    if labels.ndim < 2 or not labels.size or not np.isin(labels, (0, 1)).all():
        return None
    return next((axis for axis in (1, -1) if labels.shape[axis] > 1 and (labels.sum(axis) == 1).all()), None)


def _numbers(value: Any) -> Array | None:
    """An array of numbers, of an array, a tensor or a list of numbers; None of anything else."""
    try:
        found = np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return found if is_numbers(found) and (is_array(value) or isinstance(value, (list, tuple))) else None
