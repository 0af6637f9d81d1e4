"""A network and its data are opened together: names, axes and labels are the same for all of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgecompress.errors import RecipeError
from edgecompress.loading.opened import open_together
from edgecompress.loading.sources import Data
from edgecompress.recipe.tables import Export, Recipe
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
