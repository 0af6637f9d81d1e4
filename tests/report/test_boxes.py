"""Boxes lie where they should on the picture, in whatever unit their corners are."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from edgecompress.report.boxes import boxes_of_answer


def _answer(*corners: list[float], score: float | None = 0.5, label: float = 3) -> dict[str, Any]:
    boxes = [{"corners": box, "label": label, "score": score} for box in corners]
    return {"kind": "boxes", "boxes": boxes, "count": len(boxes)}


def _example(size: list[int] | None, before: Any, after: Any, target: Any) -> dict[str, Any]:
    picture = None if size is None else "data:image/png;base64,AAAA"
    return {"size": size, "picture": picture, "before": before, "after": after, "target": target}


def _rects(example: dict[str, Any], side: str) -> list[tuple[str, list[float]]]:
    root = ET.fromstring(str(boxes_of_answer(example, side)))  # our own
    keys = ("x", "y", "width", "height")
    return [(rect.attrib["class"], [float(rect.attrib[key]) for key in keys]) for rect in root.iter("rect")]


@pytest.mark.parametrize(
    ("size", "unit"), [([640, 320], (640.0, 320.0)), ([640, 320], (1.0, 1.0)), ([64, 32], (64.0, 32.0))]
)
def test_boxes_lie_at_their_share_of_the_picture(size: list[int], unit: tuple[float, float]) -> None:
    """Pages show pictures 320 wide: the quarter of the width is 80, that of the height 40."""
    width, height = unit
    box = [width / 4, height / 4, width / 2, height]
    example = _example(size, _answer(box), _answer(), _answer([0, 0, width, height], score=None))
    assert _rects(example, "before") == [("box target", [0, 0, 320, 160]), ("box before", [80, 40, 80, 120])]
    assert _rects(example, "after") == [("box target", [0, 0, 320, 160])]


def test_without_a_picture_the_boxes_are_the_frame() -> None:
    example = _example(None, _answer([0, 0, 8, 4]), _answer([2, 0, 10, 5]), None)
    assert _rects(example, "before") == [("box before", [0, 0, 256, 128])]
    assert _rects(_example(None, _answer(), _answer(), None), "after") == []


def test_class_and_score_are_told() -> None:
    drawn = str(boxes_of_answer(_example([8, 8], _answer([0, 0, 8, 4]), _answer(), None), "before"))
    assert "<title>class 3, 50 %</title>" in drawn
    assert 'aria-label="before: boxes 1, those that are right 0"' in drawn
