"""Boxes drawn on their sample, as SVG: those of an answer, and dashed those that are right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

WIDTH = 320.0
RELATIVE = 1.5
"""Corners that are all below it are shares of the width and the height."""


def boxes_of_answer(example: Mapping[str, Any], side: str) -> Markup:
    """The boxes of a sample.

    Args:
        example: of ``answers`` in ``report.json``.
        side: ``before`` or ``after``.
    """
    own, targets = example[side]["boxes"], _boxes(example["target"])
    corners = [box["corners"] for box in (*own, *targets, *_boxes(example["before"]), *_boxes(example["after"]))]
    width, height = example["size"] or _extent(corners)
    scale = _scale(corners, width, height) if example["size"] else (1.0, 1.0)
    zoom = WIDTH / width
    scale = (scale[0] * zoom, scale[1] * zoom)
    told = f"{side}: boxes {example[side]['count']}, those that are right {len(targets)}"
    shapes = [*_shapes(targets, scale, "target"), *_shapes(own, scale, side)]
    return Markup(
        '<svg class="boxes" role="img" viewBox="0 0 {} {}" aria-label="{}"><title>{}</title>{}{}</svg>'
    ).format(
        f"{WIDTH:.0f}", f"{height * zoom:.0f}", told, told, _picture(example, height * zoom), Markup("").join(shapes)
    )


def _boxes(answer: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    return [] if answer is None else answer.get("boxes", [])


def _extent(corners: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Width and height that hold all boxes, where nothing says how large the sample is."""
    return tuple(max((box[side] for box in corners), default=1.0) or 1.0 for side in (2, 3))  # type: ignore[return-value]


def _scale(corners: Sequence[Sequence[float]], width: float, height: float) -> tuple[float, float]:
    """What makes pixels of corners."""
    relative = all(abs(value) < RELATIVE for box in corners for value in box)
    return (width, height) if relative else (1.0, 1.0)


def _picture(example: Mapping[str, Any], height: float) -> Markup:
    if not example["picture"]:
        return Markup("")
    image = Markup('<image href="{}" width="{}" height="{}" preserveAspectRatio="none"/>')
    return image.format(example["picture"], f"{WIDTH:.0f}", f"{height:.0f}")


def _shapes(boxes: Sequence[Mapping[str, Any]], scale: tuple[float, float], kind: str) -> Iterator[Markup]:
    for box in boxes:
        left, top, right, bottom = (value * scale[place % 2] for place, value in enumerate(box["corners"]))
        words = f"{box['label']:g}" + ("" if box["score"] is None else f", {100 * box['score']:.0f} %")
        yield Markup(
            '<rect class="box {}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
            '<text x="{}" y="{}">{}</text>'
        ).format(
            kind,
            *(f"{value:.1f}" for value in (left, top, max(right - left, 0), max(bottom - top, 0))),
            f"class {words}",
            f"{left + 2:.1f}",
            f"{top + 10 if kind != 'target' else bottom - 3:.1f}",
            words if kind != "target" else "",
        )
