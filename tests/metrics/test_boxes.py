"""Mean average precision against another implementation of COCO's, and of boxes that are none."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import faster_coco_eval
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from pycocotools.cocoeval import Params
from safetensors.torch import load_file

from edgecompress.errors import DataError, RecipeError
from edgecompress.loading.own_postprocess import own_postprocess
from edgecompress.metrics.metric import named_measure
from edgecompress.metrics.running import Running


def _boxes(generator: np.random.Generator, count: int, *, scored: bool) -> dict[str, Any]:
    corners = generator.integers(0, 8, (count, 4)).astype(np.float64)
    low, size = corners[:, :2], corners[:, 2:] + 1
    found = {"boxes": np.concatenate([low, low + size], 1), "labels": generator.integers(0, 3, count)}
    return {**found, "scores": generator.permutation(100)[:count] / 100} if scored else found


def _shaken(generator: np.random.Generator, target: dict[str, Any]) -> dict[str, Any]:
    """The boxes of a target a little off, and some that are nowhere."""
    strange = _boxes(generator, int(generator.integers(0, 3)), scored=True)
    count = len(target["boxes"])
    near = target["boxes"] + generator.normal(size=(count, 4)) * 0.5
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 0.1)
    return {
        "boxes": np.concatenate([near, strange["boxes"]]),
        "labels": np.concatenate([target["labels"], strange["labels"]]),
        "scores": generator.permutation(1000)[: count + len(strange["boxes"])] / 1000,
    }


def _oracle(found: list[dict[str, Any]], targets: list[dict[str, Any]]) -> tuple[float, float]:
    """The first two figures of COCO's summary, by faster-coco-eval."""

    def annotations(samples: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        number = 0
        for image, sample in enumerate(samples):
            for place, (left, top, right, bottom) in enumerate(sample["boxes"].tolist()):
                number += 1
                box = [left, top, right - left, bottom - top]
                crowd = int(sample["iscrowd"][place]) if "iscrowd" in sample else 0
                entry = {"id": number, "image_id": image, "bbox": box, "area": box[2] * box[3], "iscrowd": crowd}
                entry["category_id"] = int(sample["labels"][place])
                yield {**entry, **({"score": float(sample["scores"][place])} if "scores" in sample else {})}

    with contextlib.redirect_stdout(io.StringIO()):
        images = [{"id": image, "height": 99, "width": 99} for image in range(len(targets))]
        categories = [{"id": label, "name": str(label)} for label in range(3)]
        truth = faster_coco_eval.COCO(
            {"images": images, "categories": categories, "annotations": list(annotations(targets))}
        )
        evaluation = faster_coco_eval.COCOeval_faster(truth, truth.loadRes(list(annotations(found))), "bbox")
        evaluation.run()
    return 100 * evaluation.stats[0], 100 * evaluation.stats[1]


def _measured(name: str, found: Any, targets: Any, size: int) -> float | None:
    running = Running(
        replace(named_measure(name), postprocess=own_postprocess(lambda rows: [found[r] for r in rows], "p"))
    )
    for start in range(0, len(targets), size):
        rows = np.arange(start, min(start + size, len(targets)))
        running.update([rows], targets[start : start + size], "batch")
    return running.value


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 5), st.booleans())
def test_precision_is_that_of_coco(seed: int, samples: int, size: int, crowds: bool) -> None:
    generator = np.random.default_rng(seed)
    targets = [_boxes(generator, int(count), scored=False) for count in generator.integers(0, 5, samples)]
    found = [_shaken(generator, target) for target in targets]
    assume(any(len(target["boxes"]) for target in targets) and any(len(boxes["boxes"]) for boxes in found))
    if crowds:
        targets = [{**target, "iscrowd": generator.random(len(target["boxes"])) < 0.3} for target in targets]
        assume(not all(target["iscrowd"].all() for target in targets))
    wanted = _oracle(found, targets)
    as_tensors = [{key: torch.from_numpy(value) for key, value in target.items()} for target in targets]
    for given_targets in (targets, as_tensors):
        assert _measured("map", found, given_targets, size) == pytest.approx(wanted[0], abs=1e-6)
        assert _measured("map50", found, given_targets, size) == pytest.approx(wanted[1], abs=1e-6)


def _only(label: int, boxes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The boxes of a class."""
    return [{key: values[each["labels"] == label] for key, values in each.items()} for each in boxes]


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_a_class_has_the_precision_of_its_boxes_alone(seed: int, samples: int) -> None:
    generator = np.random.default_rng(seed)
    targets = [_boxes(generator, int(count), scored=False) for count in generator.integers(1, 5, samples)]
    found = [_shaken(generator, target) for target in targets]
    metric: Any = named_measure("map").make()
    metric.update(found, targets)
    labels = np.unique(np.concatenate([target["labels"] for target in targets])).tolist()
    wanted = {label: max(_oracle(_only(label, found), _only(label, targets))[0], 0.0) for label in labels}
    assert metric.per_class() == pytest.approx(wanted, abs=1e-6)


NONE: dict[str, Any] = {"boxes": [], "labels": [], "scores": []}
BOX: dict[str, Any] = {"boxes": [[0, 0, 1, 1]], "labels": [1], "scores": [0.5]}


def test_nothing_found_is_zero_and_nothing_to_find_is_no_number() -> None:
    assert _measured("map", [NONE, NONE], [BOX, NONE], 1) == 0
    with pytest.raises(RecipeError, match="metric 'map' gives nan for all batches"):
        _measured("map", [BOX], [NONE], 1)


@pytest.mark.parametrize(
    ("found", "target", "told"),
    [
        (
            BOX,
            {"boxes": [[0, 0, 1, 1], [9, 6, 8, 4]], "labels": [0, 0]},
            "box 1 of targets of sample 0 is (9, 6, 8, 4), which ends before it begins; give left, top, right, bottom",
        ),
        (
            {**BOX, "boxes": [[0, 0, 1]]},
            BOX,
            "'boxes' of outputs of sample 0 are float64 (1, 3); give (boxes, 4): left, top, right, bottom",
        ),
        ({"boxes": [], "labels": []}, BOX, "outputs of sample 0 lack 'scores'; give a dict of boxes, labels, scores"),
        (BOX, {"boxes": []}, "targets of sample 0 lack 'labels'; give a dict of boxes, labels"),
        (
            BOX,
            np.zeros((1, 5)),
            "targets of sample 0 are float64 (1, 5); give a dict of boxes, labels for each",
        ),
        (
            {**BOX, "labels": [1, 2]},
            BOX,
            "'labels' of outputs of sample 0 are float64 (2,) for 1 box; give one for each",
        ),
        (
            BOX,
            {**BOX, "labels": ["cat"]},
            "'labels' of targets of sample 0 are a list of 1, the first a str, no array of numbers; give one",
        ),
        ({**BOX, "scores": [np.nan]}, BOX, "'scores' of outputs of sample 0 hold NaN or infinity; give finite numbers"),
    ],
)
def test_boxes_that_are_none_are_named_with_their_sample(found: Any, target: Any, told: str) -> None:
    with pytest.raises(DataError) as caught:
        _measured("map", [found], [target], 1)
    assert str(caught.value) == f"batch: {told}"


def test_raw_outputs_are_told_what_works() -> None:
    with pytest.raises(DataError) as caught:
        Running(named_measure("map")).update([np.zeros((1, 85, 4, 4))], [BOX], "batch")
    assert str(caught.value) == (
        "batch: outputs are float64 (1, 85, 4, 4); make a list of dicts of boxes, labels and scores of them, one for"
        " each sample (--postprocess)"
    )


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    with pytest.raises(RecipeError) as caught:
        _measured("map", [BOX], [BOX], 1)
    assert "metrics of boxes need pycocotools, which is not installed; pip install 'edgecompress[detection]'" in str(
        caught.value
    )


def test_at_half_the_overlap_it_agrees_with_a_detector_s_own(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trained detector on real pictures, by its author's postprocessing and metric.

    That integrates over the recall, where COCO takes 101 points: with more of them both agree closely.
    """
    code: Any = _imported(example / "detection.py")
    network = code.detector()
    network.load_state_dict(load_file(example / "weights" / "detector.safetensors"))
    own, metric = code.MeanAveragePrecision(), named_measure("map50").make()
    answers = [(network.eval()(pictures).detach().numpy(), boxes) for pictures, boxes in code.validation()]
    for outputs, boxes in answers:
        own.update(outputs, boxes)
        found = [
            {"scores": each[:, 0], "labels": each[:, 1], "boxes": each[:, 2:]} for each in code.postprocess(outputs)
        ]
        metric.update(found, [{"labels": each[:, 0], "boxes": _corners(each[:, 1:])} for each in boxes])
    assert metric.compute() == pytest.approx(own.compute(), abs=0.2)

    def finely(params: Any) -> None:
        usual(params)
        params.recThrs = np.linspace(0, 1, 20001)

    usual = Params.setDetParams
    monkeypatch.setattr(Params, "setDetParams", finely)
    metric.update([], [])
    assert metric.compute() == pytest.approx(own.compute(), abs=0.01)


def _imported(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location("detection_example", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _corners(boxes: Any) -> Any:
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)
