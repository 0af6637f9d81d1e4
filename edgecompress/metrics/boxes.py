"""Boxes that were found against those that are there, as pycocotools evaluates them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecompress.arrays import Array
from edgecompress.errors import DataError, RecipeError, plural
from edgecompress.metrics.described import described
from edgecompress.metrics.found_boxes import drawable_precision, found_boxes
from edgecompress.metrics.sums import Drawable, Redrawn

MOST = 100
"""Boxes of a sample that count, those with the highest scores: COCO's."""
CORNERS = 4


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """Boxes of a sample: ``corners`` (boxes, 4) left, top, right, bottom; ``labels`` and ``scores`` (boxes,).

    Targets have no scores. ``crowds`` are boxes around many, in which nothing that is found is wrong.
    """

    corners: Array
    labels: Array
    scores: Array | None = None
    crowds: Array | None = None


def boxes_of(given: Any, what: str, *, scored: bool) -> Boxes:
    """The boxes that a sample has, as torchmetrics has them.

    Args:
        given: a dict of ``boxes``, ``labels`` and, of what was found, ``scores``; targets may have ``iscrowd``.
        what: they are, and the sample that has them.
        scored: whether they need scores.

    Raises:
        DataError: something is missing, or of another shape, or no number.
    """
    if not isinstance(given, Mapping):
        raise DataError(f"{what} are {described(given)}; give a dict of boxes, labels{' and scores' * scored} for each")
    wanted = ("boxes", "labels", *(("scores",) if scored else ()))
    if missing := [key for key in wanted if key not in given]:
        raise DataError(f"{what} lack {missing[0]!r}; give a dict of {', '.join(wanted)}")
    corners = _numbers(given["boxes"], f"'boxes' of {what}")
    if corners.size == 0:
        corners = corners.reshape(0, CORNERS)
    if corners.ndim != 2 or corners.shape[1] != CORNERS:
        raise DataError(f"'boxes' of {what} are {described(corners)}; give (boxes, 4): left, top, right, bottom")
    rest = {key: _numbers(given[key], f"{key!r} of {what}") for key in (*wanted[1:], "iscrowd") if key in given}
    for key, values in rest.items():
        if values.reshape(-1).shape != corners.shape[:1]:
            raise DataError(
                f"{key!r} of {what} are {described(values)} for {plural(len(corners), 'box')}; give one for each"
            )
    if not scored:
        _require_order(corners, what)
    flat = {key: values.reshape(-1) for key, values in rest.items()}
    return Boxes(corners=corners, labels=flat["labels"], scores=flat.get("scores"), crowds=flat.get("iscrowd"))


def _require_order(corners: Array, what: str) -> None:
    """Refuse boxes that end before they begin, as one in another order does."""
    turned = np.flatnonzero((corners[:, 2:] < corners[:, :2]).any(1))
    if turned.size:
        box = ", ".join(f"{value:g}" for value in corners[turned[0]])
        raise DataError(
            f"box {turned[0]} of {what} is ({box}), which ends before it begins; give left, top, right, bottom"
        )


def _numbers(given: Any, what: str) -> Array:
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError, RuntimeError):
        raise DataError(f"{what} are {described(given)}, no array of numbers; give one") from None
    if not np.isfinite(values).all():
        raise DataError(f"{what} hold NaN or infinity; give finite numbers")
    return values


def evaluate(found: Sequence[Boxes], targets: Sequence[Boxes], overlaps: Sequence[float]) -> Any:
    """What pycocotools' ``COCOeval`` says of the boxes.

    Raises:
        RecipeError: pycocotools is missing.
    """
    try:
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        raise RecipeError(
            "metrics of boxes need pycocotools, which is not installed; pip install 'edgecompress[detection]'"
        ) from None
    classes = _classes(found, targets)
    with contextlib.redirect_stdout(io.StringIO()):  # it tells its progress
        evaluation = COCOeval(_index(targets, classes), _index(found, classes), "bbox")
        evaluation.params.iouThrs = np.array(overlaps)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, np.inf]], ["all"]
        evaluation.params.maxDets = [MOST]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def average_precisions(evaluation: Any, classes: Sequence[float]) -> dict[float, float]:
    """Average precision of each class, 0 to 1, the mean over the overlaps; classes without a target are left out."""
    precision: Array = evaluation.eval["precision"][:, :, :, 0, 0]
    there = precision[0, 0] > -1
    averages = precision[:, :, there].mean((0, 1))
    return dict(zip(np.array(classes)[there].tolist(), averages.tolist(), strict=True))


def _classes(found: Sequence[Boxes], targets: Sequence[Boxes]) -> list[float]:
    return sorted({float(label) for boxes in (*found, *targets) for label in boxes.labels})


def _index(samples: Sequence[Boxes], classes: Sequence[float]) -> Any:
    """The form of COCO; its numbers begin at 1, for it takes 0 for none."""
    from pycocotools.coco import COCO

    numbers = {label: number for number, label in enumerate(classes, 1)}
    annotations: list[dict[str, Any]] = []
    for image, boxes in enumerate(samples, 1):
        for place, (left, top, right, bottom) in enumerate(boxes.corners.tolist()):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": numbers[boxes.labels[place]],
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "iscrowd": 0 if boxes.crowds is None else int(boxes.crowds[place]),
                    **({} if boxes.scores is None else {"score": float(boxes.scores[place])}),
                }
            )
    index = COCO()
    index.dataset = {
        "images": [{"id": image} for image in range(1, len(samples) + 1)],
        "categories": [{"id": number} for number in numbers.values()],
        "annotations": annotations,
    }
    index.createIndex()
    return index


class MeanAveragePrecision(Redrawn):
    """Mean average precision of boxes, in percent, over the classes that the targets have.

    Args:
        overlaps: the shares of intersection over union from which on a box is found, over which the mean is.
    """

    unit, higher_is_better = "%", True

    def __init__(self, overlaps: Sequence[float]) -> None:
        self._overlaps = overlaps
        self._evaluation: Any = None
        self.reset()

    def update(self, outputs: Any, targets: Any, /) -> None:
        """Add a batch: for each sample a dict of ``boxes`` (boxes, 4), ``scores`` and ``labels`` (boxes,), and targets.

        A target is a dict of ``boxes`` and ``labels``, and ``iscrowd`` where some are. Boxes are left, top, right,
        bottom, in whatever unit.

        Raises:
            DataError: they are something else.
        """
        if not isinstance(outputs, (list, tuple)) or len(outputs) != len(targets):
            raise DataError(
                f"outputs are {described(outputs)}; make a list of dicts of boxes, labels and scores of them, one for"
                " each sample (--postprocess)"
            )
        found = [boxes_of(given, f"outputs of sample {row}", scored=True) for row, given in enumerate(outputs)]
        there = [boxes_of(given, f"targets of sample {row}", scored=False) for row, given in enumerate(targets)]
        self._found += found
        self._targets += there
        self._evaluation = None

    def compute(self) -> float:
        """Percent; NaN where there is no target."""
        averages = self.per_class().values()
        return float(np.mean(list(averages))) if averages else float("nan")

    def per_class(self) -> dict[float, float]:
        """Average precision of each class that has a target, in percent."""
        evaluation = self._evaluated()
        if evaluation is None:
            return {}
        averages = average_precisions(evaluation, _classes(self._found, self._targets))
        return {label: 100 * average for label, average in averages.items()}

    def drawable(self) -> Drawable | None:
        """Pictures with all their boxes."""
        evaluation = self._evaluated()
        if evaluation is None:
            return None
        return drawable_precision(found_boxes(evaluation, len(self._targets)), self.compute())

    def _evaluated(self) -> Any:
        """The evaluation of all boxes, which takes longer than all the rest; None where there is no target."""
        if self._evaluation is None and any(len(boxes.corners) for boxes in self._targets):
            self._evaluation = evaluate(self._found, self._targets, self._overlaps)
        return self._evaluation

    def reset(self) -> None:
        """Forget all batches."""
        self._found: list[Boxes] = []
        self._targets: list[Boxes] = []
        self._evaluation = None
