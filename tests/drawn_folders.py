"""Folders of pictures, drawn by the tests: a few pixels each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecompress.errors import DataError

Color = tuple[int, int, int]
RED, GREEN, BLUE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)


def draw(path: Path, size: tuple[int, int] = (8, 8), color: Color = BLACK) -> Path:
    """A picture of one color, ``size`` its height and width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], color).save(path)
    return path


def draw_mask(path: Path, values: Any) -> Path:
    """A gray mask of these values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)
    return path


def write(path: Path, text: str) -> Path:
    """A text file, in folders that are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def coco(
    sizes: dict[str, tuple[int, int]], boxes: Sequence[tuple[int, int, Sequence[float]]], **names: int
) -> dict[str, Any]:
    """Instances: pictures numbered from 1, with height and width; boxes (picture, category, box); and categories."""
    return {
        "images": [
            {"id": number, "file_name": name, "height": height, "width": width}
            for number, (name, (height, width)) in enumerate(sizes.items(), 1)
        ],
        "annotations": [
            {"id": number, "image_id": picture, "category_id": category, "bbox": list(box), "iscrowd": 0}
            for number, (picture, category, box) in enumerate(boxes, 1)
        ],
        "categories": [{"id": number, "name": name} for name, number in names.items()],
    }


def write_json(path: Path, document: Any) -> Path:
    """A JSON file."""
    return write(path, json.dumps(document))


def told(mistake: Callable[[], object]) -> str:
    """What is told of a fault of data."""
    with pytest.raises(DataError) as caught:
        mistake()
    return str(caught.value)
