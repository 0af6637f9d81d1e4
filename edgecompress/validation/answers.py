"""Answers: what a network says of one sample, called by what it is.

- ``class``: an index, where scores of classes have one place.
- ``mask``: classes (height, width), where they have the places of a picture, or where integers do.
- ``boxes``: those of a dict of ``boxes`` and ``labels``, as metrics of boxes read it.
- ``text``: a text; a list of texts, or of integers, is one with blanks between.
- ``numbers``: of an array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgecompress.arrays import Array
from edgecompress.errors import InputError, a_kind
from edgecompress.metrics.boxes import Boxes, boxes_of
from edgecompress.metrics.targets import is_array

Kind = Literal["class", "mask", "boxes", "text", "numbers"]
LEAST_SIDE = 8
"""Of a mask; smaller tables of integers are numbers."""
MOST_BOXES, MOST_TARGETS, MOST_LETTERS, MOST_NUMBERS = 12, 50, 400, 12
"""Of an answer that are shown: boxes with the highest scores, those that are right, the beginning of all else."""


@dataclass(frozen=True, kw_only=True)
class SampleAnswer:
    """What a network says of a sample, or what is right.

    ``content`` is an int, classes of integers (height, width), :class:`Boxes`, a str, or an array of numbers.
    """

    kind: Kind
    content: Any

    @property
    def entry(self) -> dict[str, Any]:
        """The same as plain data, cut to what can be shown; a mask is its shape, and drawn elsewhere."""
        return {"kind": self.kind, **_ENTRIES[self.kind](self.content)}


def read_answer(given: Any, *, of_classes: bool = False) -> SampleAnswer:
    """What an answer is.

    Args:
        given: of one sample.
        of_classes: whether it is an array of scores whose classes lie along the first axis.
    """
    first = given[0] if isinstance(given, tuple) and given and is_array(given[0]) else given
    if of_classes and is_array(first):
        found = np.asarray(first).argmax(0)
        return SampleAnswer(kind="class", content=int(found)) if found.ndim == 0 else _of_integers(found)
    if isinstance(given, Mapping):
        return _of_boxes(given)
    if isinstance(first, str):
        return SampleAnswer(kind="text", content=first)
    if isinstance(first, (list, tuple)) and all(isinstance(part, (str, int)) for part in first):
        return SampleAnswer(kind="text", content=" ".join(map(str, first)))
    return _of_array(first)


def _of_array(given: Any) -> SampleAnswer:
    try:
        values = np.asarray(given)
    except (TypeError, ValueError, RuntimeError):
        values = np.asarray(None)
    if values.dtype.kind in "iub":
        return _of_integers(values)
    if values.dtype.kind == "f":
        return SampleAnswer(kind="numbers", content=values.astype(np.float64))
    return SampleAnswer(kind="text", content=str(values) if values.dtype.kind in "US" else a_kind(given))


def _of_integers(values: Array) -> SampleAnswer:
    sides = [side for side in values.shape if side > 1]
    if len(sides) == 2 and min(sides) >= LEAST_SIDE:
        return SampleAnswer(kind="mask", content=values.reshape(sides).astype(np.int64))
    return (
        SampleAnswer(kind="class", content=int(values))
        if values.ndim == 0
        else SampleAnswer(kind="numbers", content=values)
    )


def _of_boxes(given: Mapping[Any, Any]) -> SampleAnswer:
    try:
        return SampleAnswer(kind="boxes", content=boxes_of(given, "an answer", scored="scores" in given))
    except InputError:
        return SampleAnswer(kind="text", content=f"a dict of {', '.join(map(str, given))}")


def _entry_of_boxes(boxes: Boxes) -> dict[str, Any]:
    count = len(boxes.corners)
    order: NDArray[np.intp] = np.arange(count)[:MOST_TARGETS]
    if boxes.scores is not None:
        order = np.argsort(-boxes.scores, kind="stable")[:MOST_BOXES]
    shown = [
        {
            "corners": boxes.corners[place].tolist(),
            "label": float(boxes.labels[place]),
            "score": None if boxes.scores is None else float(boxes.scores[place]),
        }
        for place in order.tolist()
    ]
    return {"boxes": shown, "count": count}


def _entry_of_numbers(values: Array) -> dict[str, Any]:
    first = [float(value) for value in values.reshape(-1)[:MOST_NUMBERS]]
    return {"numbers": [value if np.isfinite(value) else None for value in first], "shape": list(values.shape)}


_ENTRIES: dict[Kind, Any] = {
    "class": lambda content: {"class": content},
    "mask": lambda content: {"shape": list(content.shape)},
    "boxes": _entry_of_boxes,
    "text": lambda content: {"text": content[:MOST_LETTERS] + "…" * (len(content) > MOST_LETTERS)},
    "numbers": _entry_of_numbers,
}
