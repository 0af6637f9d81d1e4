"""Precision of pictures that are drawn anew is that of a network which was given these pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgecompress.metrics.boxes import MeanAveragePrecision
from edgecompress.metrics.found_boxes import FoundBoxes, drawn_precision
from edgecompress.metrics.targets import cut


def _boxes(generator: np.random.Generator, noise: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is there in a picture, and boxes a little off with some that are nowhere."""
    count = int(generator.integers(0, 5))
    low = generator.random((count + 3, 2)) * 30
    there = np.concatenate([low, low + 5 + generator.random((count + 3, 2)) * 10], 1)
    labels = generator.integers(0, 3, count + 3)
    found = there + generator.normal(size=there.shape) * noise
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    scores = generator.random(count + 3)
    return {"boxes": there[:count], "labels": labels[:count]}, {"boxes": found, "labels": labels, "scores": scores}


@pytest.mark.parametrize("overlaps", [[0.5], [0.5, 0.75]])
def test_boxes_are_drawn_with_their_pictures(overlaps: list[float]) -> None:
    """COCO samples the curve at 101 places, so that both agree within a few points."""
    generator = np.random.default_rng(7)
    targets, found = zip(*(_boxes(generator, 0.7) for _ in range(40)), strict=True)
    metric = MeanAveragePrecision(overlaps)
    metric.update(list(found), list(targets))
    drawable = metric.drawable()
    assert drawable is not None
    assert drawable.values(np.ones((1, 40), np.int64)) == pytest.approx([metric.compute()])
    drawn = generator.multinomial(40, np.full(40, 1 / 40), 25)
    again = []
    for counts in drawn:
        chosen, alone = np.repeat(np.arange(40), counts), MeanAveragePrecision(overlaps)
        alone.update(cut(list(found), chosen), cut(list(targets), chosen))
        again.append(alone.compute())
    assert drawable.values(drawn) == pytest.approx(again, abs=1.5)
    assert np.std(again) > 3.0


def test_the_area_is_that_of_the_highest_precision_at_each_recall() -> None:
    """Of three targets two are found, first and third; a picture counts as often as it is drawn."""
    found = FoundBoxes(
        groups=np.array([0, 1, 0]),
        scores=np.array([0.9, 0.8, 0.7]),
        right=np.array([True, False, True]),
        targets=np.array([2, 1]),
    )
    drawn = np.array([[1, 1], [2, 0], [0, 2], [2, 1], [0, 0]])
    wanted = [(1 + 2 / 3) / 3, 1.0, 0.0, (2 + 2 * 4 / 5) / 5, np.nan]
    assert drawn_precision(found, drawn) == pytest.approx(wanted, nan_ok=True)


def test_a_class_without_a_found_box_has_no_precision() -> None:
    nothing = np.zeros(0, np.int64)
    empty = FoundBoxes(groups=nothing, scores=nothing, right=nothing.astype(bool), targets=np.array([2, 1]))
    assert drawn_precision(empty, np.array([[1, 1]])).tolist() == [0.0]
