"""A network and its data are opened together: names, axes and labels are the same for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from edgecompress.errors import RecipeError
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.loading.opened import open_together
from edgecompress.loading.sources import Data
from edgecompress.recipe.samples import Images, Samples
from edgecompress.recipe.tables import Evaluation, Export, Recipe
from tests.drawn_folders import draw
from tests.networks import LinearStack, seeded, vectors


class _Stream(nn.Module):
    """Features of each sample and a state of (layers, samples, width), in one dict."""

    def forward(self, given: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        state = given["state"] + given["features"].mean(1)[None, :, None]
        return state.sum((0, 2)), state


def _batch(rows: int, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, 5, generator=generator)
    return {"features": features, "state": torch.randn(2, rows, 7, generator=generator)}


def test_the_first_data_name_and_cut_the_inputs_of_all() -> None:
    inputs = _batch(3, 1)
    data: dict[str, Data] = {"calibration": [_batch(4, 0)], "evaluation": [(inputs, torch.arange(3))]}
    model = _Stream()
    opened = open_together(model, data, Recipe())
    assert opened.recipe.export.batch_axes == {"state": 1}
    assert opened.module is not model
    assert list(opened.batches) == ["calibration", "evaluation"]
    assert opened.first().rows == 4
    evaluation = opened.batches["evaluation"].first()
    assert (evaluation.rows, evaluation.axis("state")) == (3, 1)
    assert evaluation.labels is not None
    outputs = opened.module(**{name: torch.from_numpy(array) for name, array in evaluation.inputs.items()})
    assert all(map(torch.equal, outputs, model(inputs)))


def test_a_network_whose_inputs_have_names_is_itself() -> None:
    model = seeded(LinearStack)
    opened = open_together(model, {"calibration": vectors()}, Recipe())
    assert opened.network is model


def test_an_axis_that_is_not_there_is_refused() -> None:
    recipe = Recipe(export=Export(batch_axes={"features": 4}))
    with pytest.raises(RecipeError, match=r"^export\.batch_axes\.features names axis 4; 'features' has 2 dimensions$"):
        open_together(_Stream(), {"calibration": [_batch(4, 0)]}, recipe)


class _Seeing(nn.Module):
    """As models of transformers have it: labels may be given, too."""

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> Tensor:
        return pixel_values.mean((2, 3))


@pytest.mark.parametrize("key", ["label", "labels"])
@pytest.mark.parametrize("loaded", [True, False])
def test_dicts_as_hugging_face_has_them_are_inputs_and_targets(key: str, loaded: bool) -> None:
    samples: Any = [{"pixel_values": torch.full((3, 4, 4), float(n)), key: n % 3} for n in range(6)]
    data: Data = DataLoader(samples, batch_size=4) if loaded else _Listed(samples)
    opened = open_together(_Seeing(), {"evaluation": data}, Recipe(data=Samples(batch_size=4)))
    batches = list(opened.batches["evaluation"])
    assert [list(batch.inputs) for batch in batches] == [["pixel_values"]] * 2
    assert [batch.labels.tolist() for batch in batches] == [[0, 1, 2, 0], [1, 2]]
    assert np.concatenate([batch.inputs["pixel_values"][:, 0, 0, 0] for batch in batches]).tolist() == list(range(6))


class _Listed(Dataset[Any]):
    def __init__(self, samples: Any) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Any:
        return self._samples[index]


def test_what_a_folder_settles_is_in_the_recipe(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        draw(tmp_path / "data" / name / "1.png")
    opened = open_together(_Seeing(), {"evaluation": str(tmp_path / "data")}, Recipe(images=Images(size=(4, 4))))
    assert opened.recipe.data.classes == ("cat", "dog")
    assert opened.recipe.images.resize == "stretch"
    assert opened.first().inputs["pixel_values"].shape == (2, 3, 4, 4)


def test_how_batches_were_taken_apart_is_told_once_for_all_data_that_are_alike() -> None:
    x, y = torch.randn(4, 8), torch.arange(4)
    told: list[str] = []
    named = [{"rows": x, "target": y}]
    data: dict[str, Data] = {"calibration": named, "evaluation": named, "train": [(x, y)]}
    opened = open_together(nn.Linear(8, 4), data, Recipe(), told.append)
    assert told == [
        "calibration and evaluation data: 'rows' is taken for the input 'input', 'target' is taken for the labels"
    ]
    assert all((batches.first().inputs["input"] == x.numpy()).all() for batches in opened.batches.values())


MASKS: dict[str, Data] = {"evaluation": [(torch.zeros(4, 3, 8, 8), torch.ones(4, 8, 6, dtype=torch.int64))]}


def _told(data: dict[str, Data], recipe: Recipe, **kwargs: Any) -> list[str]:
    told: list[str] = []
    open_together(nn.Conv2d(3, 5, 1), data, recipe, told.append, **kwargs)
    return told


def test_masks_that_the_default_metric_would_measure_are_told_with_their_own() -> None:
    assert _told(MASKS, Recipe()) == [
        "the evaluation labels are masks of 8 x 6 places, where top-1 hardly counts small classes; give --metric miou"
    ]


def test_who_asks_for_a_metric_is_told_of_no_other() -> None:
    top1 = MeasuredBy(metric="top1")
    assert _told(MASKS, Recipe(), by=top1) == _told(MASKS, Recipe(), asked=["evaluation.metric"]) == []
    assert _told(MASKS, Recipe(evaluation=Evaluation(metric="miou"))) == []


@pytest.mark.parametrize("labels", [torch.arange(4), torch.ones(4, 7, dtype=torch.int64), None])
def test_labels_of_classes_are_no_masks(labels: Tensor | None) -> None:
    assert _told({"evaluation": [(torch.zeros(4, 3, 8, 8), labels)]}, Recipe()) == []


@pytest.mark.parametrize(("declared", "asked"), [("1", None), ("N", 1), ("2", None)])
def test_batches_are_cut_where_a_file_or_the_recipe_fixes_the_number_of_samples(
    declared: str, asked: int | None
) -> None:
    text = f'<ir_version: 10, opset_import: ["": 20]> m (float[{declared},5] x) => (float[{declared},5] y)'
    model = ir.from_proto(onnx.parser.parse_model(text + "{ y = Relu(x) }"))
    x, recipe = torch.rand(4, 5), Recipe(export=Export(batch_size=asked))
    opened = open_together(model, {"evaluation": [(x, torch.arange(4))]}, recipe)
    rows = asked or int(declared)
    batches = list(opened.batches["evaluation"])
    assert [batch.rows for batch in batches] == [rows] * (4 // rows)
    assert opened.first().rows == rows
    assert np.concatenate([batch.labels for batch in batches]).tolist() == [0, 1, 2, 3]
