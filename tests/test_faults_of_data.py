"""Planted faults: a classifier, a segmenter and a detector on data that are shifted, or with a head that is silent.

The float model is wrong then, and the artifact as wrong as that: no budget of a drop is missed, so words name the
fault. What dies on the way to the artifact is in ``test_lost_slices.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgecompress
from edgecompress.errors import DataError

CLASSES, SAMPLES, SIDE, BOXES = 5, 48, 16, 3
QUICK = (
    *("export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "quantization.fallback_evaluations=0"),
    *("budgets.min_compression_ratio=none", "budgets.min_speedup=none"),
)
Array = np.ndarray[Any, Any]


class Brightest(nn.Module):
    """The brightness of each channel is the score of its class, at each place or, over all of these, of the picture."""

    def __init__(self, *, of_places: bool) -> None:
        super().__init__()
        self.same = nn.Conv2d(CLASSES, CLASSES, 1, bias=False)
        self.same.weight.data = torch.eye(CLASSES)[:, :, None, None]
        self.of_places = of_places

    def forward(self, picture: Tensor) -> Tensor:
        scores: Tensor = self.same(picture)
        return scores if self.of_places else scores.mean((2, 3))


class Boxes(nn.Module):
    """Boxes, a score and a class each, as they stand in the input."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Linear(6 * BOXES, 6 * BOXES, bias=False)
        self.same.weight.data = torch.eye(6 * BOXES)

    def forward(self, encoded: Tensor) -> Tensor:
        found: Tensor = self.same(encoded)
        return found


def _pictures(classes: Array) -> Array:
    """Pictures whose brightest channel is the class of each place."""
    noise = np.random.default_rng(1).random((len(classes), CLASSES, SIDE, SIDE)) * 0.3
    shown = np.eye(CLASSES)[
        np.broadcast_to(classes.reshape(len(classes), *classes.shape[1:] or (1, 1)), noise[:, 0].shape)
    ]
    pictures: Array = (noise + np.moveaxis(shown, -1, 1)).astype(np.float32)
    return pictures


def _corners() -> tuple[Array, Array]:
    """Boxes (samples, boxes, 4), left, top, right, bottom, far from the corner of the picture, and their classes."""
    generator = np.random.default_rng(2)
    low = 20 + generator.random((SAMPLES, BOXES, 2)) * 60
    size = 4 + generator.random((SAMPLES, BOXES, 2)) * [12, 6]
    return np.concatenate([low, low + size], -1), generator.integers(0, 3, (SAMPLES, BOXES))


def _encoded(boxes: Array, labels: Array) -> Array:
    scores = 0.5 + 0.1 * np.arange(BOXES)[None].repeat(SAMPLES, 0)
    return np.concatenate([boxes, scores[..., None], labels[..., None]], -1).reshape(SAMPLES, -1).astype(np.float32)


def _decoded(outputs: Array, order: Callable[[Array], Array] = lambda boxes: boxes) -> list[dict[str, Array]]:
    rows = outputs.reshape(len(outputs), BOXES, 6)
    return [{"boxes": order(row[:, :4]), "scores": row[:, 4], "labels": np.rint(row[:, 5])} for row in rows]


def _targets(boxes: Array, labels: Array) -> list[dict[str, Array]]:
    return [{"boxes": own, "labels": label} for own, label in zip(boxes, labels, strict=True)]


def _batches(inputs: Array, targets: Any, rows: int = 8) -> list[Any]:
    return [
        (torch.from_numpy(inputs[start : start + rows]), targets[start : start + rows])
        for start in range(0, len(inputs), rows)
    ]


def _doubts(folder: Path, network: nn.Module, evaluation: list[Any], **options: Any) -> list[str]:
    """What the report of a run doubts of the float model."""
    bundle = edgecompress.compress(
        network.eval(),
        calibration=[inputs for inputs, _ in evaluation],
        evaluation=evaluation,
        output=folder / "bundle",
        overrides=QUICK,
        **options,
    )
    doubts: list[str] = json.loads((bundle.path / "report.json").read_text())["doubts"]
    return [doubt for doubt in doubts if doubt.startswith("the float model")]


LABELS = np.random.default_rng(0).integers(0, CLASSES, SAMPLES)
BLOCKS = np.random.default_rng(3).integers(0, CLASSES, (SAMPLES, 4, 4)).repeat(4, 1).repeat(4, 2)


@pytest.mark.parametrize(
    ("moved", "told"),
    [
        (0, None),
        (1, "each sample has the target of the one after it; check that inputs and targets are in one order"),
        (-1, "each sample has the target of the one before it; check that inputs and targets are in one order"),
    ],
)
def test_targets_of_a_classifier_that_are_shifted_by_a_sample(moved: int, told: str | None, tmp_path: Path) -> None:
    evaluation = _batches(_pictures(LABELS), torch.from_numpy(np.roll(LABELS, moved)))
    doubts = _doubts(tmp_path, Brightest(of_places=False), evaluation)
    assert any(told in doubt for doubt in doubts) if told else doubts == []


@pytest.mark.parametrize(
    ("axis", "moved", "told"),
    [
        (2, 0, None),
        (2, 1, "the masks are moved left by a pixel; check how images and masks are resized and cut"),
        (1, -1, "the masks are moved down by a pixel"),
        (0, 1, "each sample has the target of the one after it"),
    ],
)
def test_masks_of_a_segmenter_that_are_shifted(axis: int, moved: int, told: str | None, tmp_path: Path) -> None:
    evaluation = _batches(_pictures(BLOCKS), torch.from_numpy(np.roll(BLOCKS, moved, axis)))
    doubts = _doubts(tmp_path, Brightest(of_places=True), evaluation, metric="miou")
    assert any(told in doubt for doubt in doubts) if told else doubts == []


@pytest.mark.parametrize("of_places", [False, True])
def test_a_head_with_a_silent_class(of_places: bool, tmp_path: Path) -> None:
    network, targets = Brightest(of_places=of_places), BLOCKS if of_places else LABELS
    network.same.weight.data[3] = 0.0
    doubts = _doubts(
        tmp_path,
        network,
        _batches(_pictures(targets), torch.from_numpy(targets)),
        metric="miou" if of_places else "top1",
    )
    share = 100 * (targets == 3).mean()
    assert doubts == [
        f"the float model never answers class 3, the label of {share:.2f} % of the evaluation data; check its head, and"
        " how the classes are numbered"
    ]


def _as_sizes(boxes: Array) -> Array:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)


def _around_centers(boxes: Array) -> Array:
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)


@pytest.mark.parametrize(
    ("order", "told"),
    [
        (lambda boxes: boxes, None),
        (_as_sizes, "its boxes are read as left, top, width and height; give left, top, right, bottom (--postprocess)"),
        (_around_centers, "its boxes are read as center, width and height"),
        (lambda boxes: boxes[:, [1, 0, 3, 2]], "its boxes are read as top, left, bottom and right"),
        (
            lambda boxes: boxes[::-1],
            "classes do not count; check that the boxes, scores and labels of a sample are in one",
        ),
    ],
)
def test_boxes_in_another_order(order: Callable[[Array], Array], told: str | None, tmp_path: Path) -> None:
    boxes, labels = _corners()
    labels[:] = np.arange(BOXES)
    evaluation = _batches(_encoded(boxes, labels), _targets(boxes, labels))
    options = {"metric": "map50", "postprocess": lambda outputs: _decoded(outputs, order)}
    doubts = _doubts(tmp_path, Boxes(), evaluation, **options)
    assert any(told in doubt for doubt in doubts) if told else doubts == []


def test_targets_of_a_detector_that_are_shifted_by_a_sample(tmp_path: Path) -> None:
    boxes, labels = _corners()
    targets = _targets(np.roll(boxes, 1, 0), np.roll(labels, 1, 0))
    doubts = _doubts(
        tmp_path, Boxes(), _batches(_encoded(boxes, labels), targets), metric="map50", postprocess=_decoded
    )
    assert any("each sample has the target of the one after it" in doubt for doubt in doubts)


def test_targets_with_sizes_in_the_place_of_ends_are_refused(tmp_path: Path) -> None:
    boxes, labels = _corners()
    targets = _targets(np.stack([_as_sizes(each) for each in boxes]), labels)
    with pytest.raises(DataError) as caught:
        _doubts(tmp_path, Boxes(), _batches(_encoded(boxes, labels), targets), metric="map50", postprocess=_decoded)
    assert "which ends before it begins; give left, top, right, bottom" in str(caught.value)
    assert not (tmp_path / "bundle").exists()
