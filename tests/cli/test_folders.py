"""Folders from the command line: a classifier, a segmenter and a detector, each right about every picture it is given.

The networks see one color against others, so that their answers are known: what they get wrong, the loader got wrong.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecompress.cli import main
from tests.drawn_folders import BLUE, GREEN, RED, coco, draw_mask, write, write_json

NETS = """
import torch
from torch import nn


class Channels(nn.Module):
    \"\"\"Each channel of an image in [0, 1] against the others, (rows, 3, height, width).\"\"\"

    def __init__(self, pooled=False):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 3, 1, bias=False)
        self.pooled = pooled
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()
            for channel in range(3):
                self.first.weight[channel, :] = -1.0
                self.first.weight[channel, channel] = 1.0
                self.second.weight[channel, channel] = 4.0

    def forward(self, image):
        seen = self.second(torch.relu(self.first(image)))
        return seen.mean((2, 3)) if self.pooled else seen


def classifier():
    return Channels(pooled=True)


def segmenter():
    return Channels()
"""
BOXES = """
import numpy as np


def boxes(scores):
    \"\"\"The box around what has the color of each class.\"\"\"
    return [_found(sample) for sample in scores]


def _found(sample):
    found = []
    for label, score in enumerate(sample):
        rows, columns = np.nonzero(score > 2)
        if len(rows):
            found.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, label))
    table = np.array(found, float).reshape(-1, 5)
    return {"boxes": table[:, :4], "labels": table[:, 4], "scores": np.ones(len(table))}
"""
COLORS = {"blue": BLUE, "green": GREEN, "red": RED}
PLAIN = ("images.mean=[0.0]", "images.std=[1.0]", "images.size=[32,32]", "export.simplify=false")
LOOSE = ("budgets.min_compression_ratio=none", "budgets.min_speedup=none", "cpu.runs=10")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "nets.py", NETS)
    write(tmp_path / "found.py", BOXES)
    return tmp_path


def _compress(capsys: pytest.CaptureFixture[str], network: str, folder: str, *options: str) -> dict[str, Any]:
    sets = [part for each in (*PLAIN, *LOOSE) for part in ("--set", each)]
    arguments = ["--target", "mini-pc", "--calibration", folder, "--evaluation", folder, "--output", "out", "--json"]
    assert main(["compress", f"nets.py:{network}", *arguments, *sets, *options]) == 0
    manifest: dict[str, Any] = json.loads(capsys.readouterr().out)
    return manifest


def _picture(path: Path, height: int, width: int, box: tuple[int, int, int, int], color: tuple[int, ...]) -> None:
    left, top, right, bottom = box
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[top:bottom, left:right] = color
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_a_classifier_from_classes_as_folders(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, color in COLORS.items():
        for number in range(4):
            _picture(here / "data" / name / f"{number}.png", 20 + number, 30, (2, 2, 20, 18), color)
    order = 'data.classes=["red", "green", "blue"]'
    manifest = _compress(capsys, "classifier", "data", "--set", order)
    accuracy = manifest["metrics"]["accuracy"]
    assert (accuracy["original"], accuracy["compressed"]) == (100.0, 100.0)
    recipe = tomllib.loads((here / "out" / "recipe.toml").read_text())
    assert recipe["data"]["classes"] == ["red", "green", "blue"]
    assert recipe["images"]["resize"] == "stretch"
    # The bundle knows how its folders are read: the same classes and sizes hold for another one.
    (here / "data" / "red").rename(here / "red")
    (here / "few").mkdir()
    (here / "red").rename(here / "few" / "red")
    assert main(["validate", "out", "--evaluation", "few", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measures"]["accuracy"]["value"] == 100.0


def test_a_segmenter_from_masks(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, color in enumerate([*COLORS.values()] * 3):
        _picture(here / "data" / "images" / f"{number}.png", 32, 32, (0, 0, 32, 32), color)
        mask = np.full((32, 32), color.index(255))
        mask[:3] = 255
        draw_mask(here / "data" / "masks" / f"{number}.png", mask)
    metric = _compress(capsys, "segmenter", "data", "--metric", "miou")["metrics"]["metric"]
    assert (metric["original"], metric["compressed"]) == (100.0, 100.0)


def test_a_detector_from_coco(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes, boxes = {}, []
    for number, (left, top) in enumerate([(4, 8), (40, 20), (16, 0), (0, 32)]):
        name = f"{number}.png"
        sizes[name] = (64, 128)
        box = (left, top, left + 48, top + 32)
        _picture(here / "data" / name, 64, 128, box, list(COLORS.values())[number % 3])
        boxes.append((number + 1, 10 + number % 3, [left, top, 48, 32]))
    write_json(here / "data" / "instances.json", coco(sizes, boxes, blue=10, green=11, red=12))
    order = 'data.classes=["red", "green", "blue"]'
    options = ["--metric", "map50", "--postprocess", "found.py:boxes", "--set", order, "--set", "images.border=0"]
    metric = _compress(capsys, "segmenter", "data", *options)["metrics"]["metric"]
    assert (metric["original"], metric["compressed"]) == (100.0, 100.0)
    assert tomllib.loads((here / "out" / "recipe.toml").read_text())["images"]["resize"] == "letterbox"
