"""Samples of a folder: the values of an input, and targets in the same places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecompress.loading.folders.dataset import Pictures
from edgecompress.loading.folders.recognition import read_folder
from edgecompress.loading.folders.settling import settled_images
from edgecompress.metrics.metric import named_measure
from edgecompress.recipe.samples import Images
from tests.drawn_folders import BLUE, RED, coco, draw, draw_mask, told, write, write_json

PLAIN: dict[str, Any] = {"mean": (0.0,), "std": (1.0,)}


def _pictures(folder: Path, classes: tuple[str, ...] = (), **values: Any) -> Pictures:
    read = read_folder(folder, "evaluation")
    images = settled_images(Images(**{**PLAIN, **values}), None, boxes=read.has_boxes)
    return Pictures(folder=read, images=images, classes=classes or read.names)


def _targets(pictures: Pictures) -> list[Any]:
    return [pictures[index][1] for index in range(len(pictures))]


def test_values_are_scaled_and_normalized_channel_by_channel(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", (10, 20), (255, 51, 0))
    whole = _pictures(tmp_path, size=(4, 6), mean=(0.5, 0.0, 0.25), std=(0.5, 1.0, 0.5))[0]
    assert (whole.shape, whole.dtype) == ((3, 4, 6), np.float32)
    # (1 - 0.5) / 0.5, 0.2, (0 - 0.25) / 0.5
    assert np.allclose(whole[:, 0, 0], [1.0, 0.2, -0.5], atol=1e-6)
    bgr = _pictures(tmp_path, size=(4, 6), channels="bgr", mean=(0.5, 0.0, 0.25), std=(0.5, 1.0, 0.5))[0]
    assert np.allclose(bgr[:, 0, 0], [-1.0, 0.2, 1.5], atol=1e-6)
    plain = _pictures(tmp_path, size=(4, 6), scaled=False, layout="channels_last", mean=(1.0,))[0]
    assert plain.shape == (4, 6, 3)
    assert plain[0, 0].tolist() == [254.0, 50.0, -1.0]


def test_gray_is_one_channel(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", (4, 4), (51, 51, 51))
    gray = _pictures(tmp_path, size=(4, 4), channels="gray")[0]
    assert gray.shape == (1, 4, 4)
    assert np.allclose(gray, 0.2)


def test_classes_by_name_and_by_index(tmp_path: Path) -> None:
    for name in ("cat", "owl"):
        draw(tmp_path / "named" / name / "1.png")
    assert _targets(_pictures(tmp_path / "named", size=(2, 2))) == [0, 1]
    assert _targets(_pictures(tmp_path / "named", ("owl", "dog", "cat"), size=(2, 2))) == [2, 0]
    draw(tmp_path / "listed" / "1.png")
    write(tmp_path / "listed" / "labels.csv", "1.png,7\n")
    assert _pictures(tmp_path / "listed", size=(2, 2))[0][1] == 7


def test_a_mask_lies_as_its_picture_does_and_nothing_counts_where_it_is_255_or_beyond(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.png", (2, 4))
    draw_mask(tmp_path / "masks" / "a.png", [[0, 1, 2, 255], [1, 1, 1, 1]])
    stretched = _pictures(tmp_path, size=(4, 4))[0][1]
    assert stretched.dtype == np.int64
    assert stretched.tolist() == [[0, 1, 2, -100]] * 2 + [[1] * 4] * 2
    boxed = _pictures(tmp_path, size=(4, 4), resize="letterbox")[0][1]
    assert boxed.tolist() == [[-100] * 4, [0, 1, 2, -100], [1] * 4, [-100] * 4]


def test_values_of_masks_are_classes_as_the_recipe_numbers_them(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.png", (1, 3))
    mask = draw_mask(tmp_path / "masks" / "a.png", [[0, 255, 0]])
    assert _pictures(tmp_path, size=(1, 3), mask_values=(0, 255))[0][1].tolist() == [[0, 1, 0]]
    draw_mask(mask, [[0, 128, 255]])
    assert _pictures(tmp_path, size=(1, 3), mask_values=(128, 0))[0][1].tolist() == [[1, 0, -100]]
    told_of = str(mask)
    assert told(lambda: _pictures(tmp_path, size=(1, 3), mask_values=(0, 255))[0]) == (
        f"mask {told_of!r} has the value 128, which is no class; name all classes (data.classes), or their values"
        " (images.mask_values)"
    )


def test_a_value_beyond_the_named_classes_is_told(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.png", (1, 3))
    draw_mask(tmp_path / "masks" / "a.png", [[0, 255, 2]])
    named = _pictures(tmp_path, ("sky", "road", "car"), size=(1, 3))
    assert named[0][1].tolist() == [[0, -100, 2]]
    assert "has the value 2, which is no class" in told(lambda: _pictures(tmp_path, ("sky", "road"), size=(1, 3))[0])


def test_boxes_are_pixels_of_the_letterbox_and_labels_contiguous(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", (60, 120))
    document = coco({"a.png": (60, 120)}, [(1, 90, [10, 20, 100, 25.5]), (1, 4, [0, 0, 0, 10])], dog=90, cat=4)
    document["annotations"][1]["iscrowd"] = 1
    write_json(tmp_path / "instances.json", document)
    pixels, target = _pictures(tmp_path, size=(64, 96))[0]
    assert pixels.shape == (3, 64, 96)
    assert (target["boxes"].dtype, target["labels"].dtype) == (np.float32, np.int64)
    assert np.allclose(target["boxes"], np.array([[8, 24, 88, 44.4], [0, 8, 0, 16]]), atol=1e-5)
    assert target["labels"].tolist() == [1, 0]
    assert target["iscrowd"].tolist() == [0, 1]


def test_boxes_that_a_crop_leaves_nothing_of_are_left_out(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", (100, 300))
    boxes = [(1, 1, [0, 0, 99, 50]), (1, 2, [90, 0, 60, 60])]
    write_json(tmp_path / "instances.json", coco({"a.png": (100, 300)}, boxes, cat=1, dog=2))
    target = _pictures(tmp_path, size=(50, 50), resize="crop", crop_share=1.0)[0][1]
    assert target["labels"].tolist() == [1]
    assert np.allclose(target["boxes"], [[0, 0, 25, 30]], atol=1e-5)


def test_shares_of_yolo_are_of_the_picture_as_it_is(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.png", (10, 20))
    write(tmp_path / "labels" / "a.txt", "3 0.5 0.5 0.5 0.2\n")
    target = _pictures(tmp_path, size=(40, 40))[0][1]
    assert np.allclose(target["boxes"], [[10, 18, 30, 22]], atol=1e-5)
    assert target["labels"].tolist() == [3]
    assert "iscrowd" not in target


@pytest.mark.parametrize("target", ["masks/a.png", "instances.json"])
def test_a_target_of_another_size_than_its_picture(tmp_path: Path, target: str) -> None:
    picture = draw(tmp_path / ("images/a.png" if target.startswith("masks") else "a.png"), (4, 6))
    path = tmp_path / target
    if target.startswith("masks"):
        draw_mask(path, np.zeros((8, 6)))
    else:
        write_json(path, coco({"a.png": (8, 6)}, [], cat=1))
    assert told(lambda: _pictures(tmp_path)[0]) == (
        f"picture {str(picture)!r} has 6 x 4 pixels, its target in {str(path)!r} 6 x 8; give both one size"
    )


def test_a_drawn_box_is_where_the_target_says(tmp_path: Path) -> None:
    image = np.zeros((50, 80, 3), np.uint8)
    image[:] = BLUE
    image[10:30, 20:60] = RED
    Image.fromarray(image).save(tmp_path / "a.png")
    write_json(tmp_path / "instances.json", coco({"a.png": (50, 80)}, [(1, 1, [20, 10, 40, 20])], cat=1))
    pixels, target = _pictures(tmp_path, size=(160, 160))[0]
    red = np.argwhere(pixels[0] - pixels[2] > 0)  # the border is gray
    found = [*red.min(0)[::-1], *(red.max(0) + 1)[::-1]]
    assert np.abs(np.array(found) - target["boxes"][0]).max() <= 0.5


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_boxes_that_are_put_back_are_those_of_the_file_for_an_independent_evaluation(
    tmp_path: Path, resize: str
) -> None:
    from faster_coco_eval import COCO, COCOeval_faster

    random = np.random.default_rng(0)
    sizes = {f"{number}.png": tuple(map(int, random.integers(40, 200, 2))) for number in range(6)}
    boxes: list[Any] = []
    for number, (height, width) in enumerate(sizes.values(), 1):
        draw(tmp_path / f"{number - 1}.png", (height, width))
        for category in random.choice([4, 17, 90], 5):
            left, top = random.uniform(0, width / 2), random.uniform(0, height / 2)
            box = [left, top, random.uniform(5, width - left), random.uniform(5, height - top)]
            boxes.append((number, int(category), box))
    document = coco(sizes, boxes, zebra=4, person=17, dog=90)  # type: ignore[arg-type]
    for entry in document["annotations"]:
        entry.update(area=entry["bbox"][2] * entry["bbox"][3], iscrowd=int(entry["id"] % 7 == 0))
    file = write_json(tmp_path / "instances.json", document)
    found = []
    targets = _targets(_pictures(tmp_path, size=(320, 256), resize=resize))
    for number, target in enumerate(targets, 1):
        height, width = sizes[f"{number - 1}.png"]
        scale = np.array([256 / width, 320 / height] * 2)
        if resize == "letterbox":
            scale[:] = scale.min()
        border = (np.array([256, 320] * 2) - scale * np.array([width, height] * 2)) / 2
        back = (target["boxes"] - border) / scale
        for (left, top, right, bottom), label in zip(back.tolist(), target["labels"], strict=True):
            category = (4, 17, 90)[label]
            box = [left, top, right - left, bottom - top]
            found.append({"image_id": number, "category_id": category, "bbox": box, "score": 1.0})
    truth = COCO(str(file))
    evaluation = COCOeval_faster(truth, truth.loadRes(found), "bbox")
    evaluation.params.iouThrs = np.array([0.5, 0.9])
    evaluation.run()
    assert evaluation.stats_as_dict["AP_all"] == pytest.approx(1.0)
    metric = named_measure("map").make()
    metric.update([{**target, "scores": np.ones(len(target["labels"]))} for target in targets], targets)
    assert metric.compute() == pytest.approx(100.0)
