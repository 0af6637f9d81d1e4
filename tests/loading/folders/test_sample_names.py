"""Samples of a folder are called by their files, in the order in which they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgecompress.loading.folders.sample_names import sample_names
from edgecompress.loading.sources import open_batches
from edgecompress.recipe.tables import Recipe, parse_recipe
from tests.drawn_folders import BLUE, GREEN, RED, draw
from tests.networks import ConvNet, seeded


def test_the_pictures_of_a_folder_give_the_names(tmp_path: Path) -> None:
    colors = {"a/2.png": RED, "a/10.png": GREEN, "b/1.png": BLUE}
    for name, color in colors.items():
        draw(tmp_path / name, color=color)
    recipe = parse_recipe({"images": {"mean": [0.0], "std": [1.0], "size": [8, 8]}})
    names = sample_names(tmp_path, "evaluation", recipe)
    batches = open_batches(tmp_path, "evaluation", seeded(ConvNet), recipe)
    read = [image for batch in batches for image in batch.inputs["image"]]
    assert sorted(names) == sorted(colors)
    assert [tuple(np.rint(255 * image[:, 0, 0])) for image in read] == [colors[name] for name in names]


def test_other_data_has_none() -> None:
    assert sample_names([1, 2], "evaluation", Recipe()) == ()
    assert sample_names("batches.py:test", "evaluation", Recipe()) == ()
