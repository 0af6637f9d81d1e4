"""Labels that top-1 does not read are told with a metric that does: each named metric takes what it is named for."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from edgecompress.metrics.fitting import fitting_metric, masks_in_words
from edgecompress.metrics.metric import named_measure

BOXES = [np.array([[1.0, 2.0, 3.0, 4.0, 0.0]]), np.zeros((0, 5)), np.array([[1.0, 2.0, 3.0, 4.0, 0.0]] * 2)]

MASKS = np.random.default_rng(0).integers(0, 2, (4, 1, 8, 8)).astype(np.float32)
CLASSES = np.eye(3)[np.random.default_rng(0).integers(0, 3, (4, 8, 8))]
"""One-hot, (rows, height, width, classes)."""


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([{"boxes": np.zeros((2, 4)), "labels": np.zeros(2)}, {"boxes": np.zeros((0, 4))}], "boxes"),
        ({"boxes": torch.zeros(2, 3, 4), "labels": torch.zeros(2, 3)}, "boxes"),
        (BOXES, "boxes"),
        ([torch.from_numpy(boxes) for boxes in BOXES], "boxes"),
        (("a cat", "two dogs"), "texts"),
        ([[1, 2], [3]], "lists of classes, each of its own length"),
        ([torch.zeros(4, 5).long(), torch.zeros(6, 5).long()], "masks of unequal sizes"),
        (np.array([[1.0, 1.0], [0.0, 0.0]]), "0 or 1 for each class"),
        (np.array([[0.5, 1.0], [0.0, 0.0]]), "float64 (2, 2)"),
        (torch.rand(2, 3, 8, 8), "float32 (2, 3, 8, 8)"),
        ([0.5, 2.0], "float64 (2,)"),
        (MASKS, "masks of 0 and 1"),
        (MASKS[:, 0], "masks of 0 and 1"),
        (MASKS[:, 0] > 0, "masks of 0 and 1"),
        (np.ones((4, 1, 8, 8), np.float32), "masks of 0 and 1"),
        (np.ones((4, 1)), "0 or 1 for each class"),
        (CLASSES.transpose(0, 3, 1, 2), "one-hot masks"),
        (CLASSES.astype(bool), "one-hot masks"),
        (np.full((2, 3, 4), 7.5), "boxes"),
        (np.concatenate([np.full((2, 3, 6), 0.5), np.full((2, 1, 6), -1.0)], 1), "boxes"),
        (np.full((2, 24, 5), -0.5), "float64 (2, 24, 5)"),
        (np.full((2, 24, 9), 0.5), "float64 (2, 24, 9)"),
    ],
)
def test_labels_are_told_as_what_they_are(labels: Any, words: str) -> None:
    fit = fitting_metric(labels)
    assert fit is not None
    assert fit.labels == words
    for name in re.findall(r"--metric (\w+)", fit.give):
        assert named_measure(name).name == name


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(4),
        np.eye(3),
        np.array([0.0, 2.0, 1.0]),
        [object(), object()],
        object(),
        None,
        [],
        {"classes": np.arange(3)},
        np.array([True, False]),
        [np.zeros((2, 9)), np.zeros((1, 9))],
        "a",
    ],
)
def test_classes_and_what_nobody_knows_are_left_alone(labels: Any) -> None:
    assert fitting_metric(labels) is None


def test_numbers_and_scores_of_images_are_measured_by_what_is_named() -> None:
    values, several = np.array([[0.5, 1.5]]), np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]])
    of_images, of_several = fitting_metric(np.full((1, 3, 2, 2), 0.5)), fitting_metric(several)
    assert of_images is not None
    assert of_several is not None
    assert re.findall(r"mae|rmse|psnr", of_images.give) == ["mae", "rmse", "psnr"]
    for name in ("mae", "rmse", "psnr"):
        named_measure(name).make().update(values, values)
    assert of_several.give == "--metric auroc"
    auroc = named_measure("auroc").make()
    auroc.update(several, several)
    assert auroc.compute() == 100


@pytest.mark.parametrize("labels", [np.zeros((2, 4, 4)), np.zeros((2, 4), int), np.zeros(2, int), ["a"], None])
def test_only_classes_of_places_are_masks(labels: Any) -> None:
    assert masks_in_words(labels) is None


def test_masks_are_told_with_their_size() -> None:
    assert "48 x 64 places" in (masks_in_words(torch.zeros(2, 48, 64, dtype=torch.uint8)) or "")
    assert "2 x 3 x 4 places" in (masks_in_words([[[[0] * 4] * 3] * 2]) or "")
    assert "labels.argmax(1), and --metric miou" in (masks_in_words(CLASSES.transpose(0, 3, 1, 2).astype(int)) or "")


@pytest.mark.parametrize(
    ("labels", "form"),
    [
        (MASKS, lambda labels: labels.astype(np.int64).squeeze(1)),
        (MASKS[:, 0], lambda labels: labels.astype(np.int64)),
        (CLASSES.transpose(0, 3, 1, 2), lambda labels: labels.argmax(1)),
        (CLASSES, lambda labels: labels.argmax(-1)),
    ],
)
def test_masks_in_the_form_that_is_told_are_measured_by_the_metric_that_is_told(labels: Any, form: Any) -> None:
    fit = fitting_metric(labels)
    assert fit is not None
    assert fit.give == f"{fit.advice(named=True)}, and --metric miou"
    assert "--metric" not in fit.advice(named=True)
    classes = form(labels)
    assert fitting_metric(classes) is None
    miou = named_measure("miou").make()
    miou.update(np.eye(3)[classes].transpose(0, 3, 1, 2), classes)
    assert miou.compute() == 100


def test_no_other_metric_is_told_where_a_form_does_and_one_is_where_none_does() -> None:
    for labels in ([[1, 2], [3]], [torch.zeros(4, 5).long(), torch.zeros(6, 5).long()]):
        fit = fitting_metric(labels)
        assert fit is not None
        assert "--metric" in fit.advice(named=False)
        assert "--metric" not in fit.advice(named=True)
    several = fitting_metric(np.array([[1.0, 1.0], [0.0, 0.0]]))
    assert several is not None
    assert several.advice(named=True) == several.give == "--metric auroc"
