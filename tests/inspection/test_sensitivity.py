"""Sensitivity by layer: what halves of layers cost, and why some have none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgecompress.data.batches import Batch, Batches, InputNames
from edgecompress.inspection.sensitivity import UNKNOWN, Halved, halve_layers, layer_sensitivity
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Export, Quantization, Recipe
from tests.exporters.graphs import draw

RECIPE = Recipe(export=Export(simplify=False), quantization=Quantization(enabled=True))
BATCH = Batch(inputs={"x": draw(16, 4, 8, 8)})


class Net(nn.Module):
    """``idle`` makes channels, half of them silent, ``left`` and ``right`` are summed."""

    def __init__(self) -> None:
        super().__init__()
        self.idle, self.left, self.right = nn.Conv2d(4, 8, 3), nn.Conv2d(8, 6, 3), nn.Conv2d(8, 6, 3)
        self.head = nn.Linear(6, 5)
        with torch.no_grad():
            for weight in self.idle.parameters():
                weight[::2] = 0
            for reader in (self.left, self.right):
                reader.weight[:, ::2] *= 0.1

    def forward(self, x: Tensor) -> Tensor:
        y = self.idle(x).relu()
        scores: Tensor = self.head((self.left(y) + self.right(y)).relu().mean((2, 3)))
        return scores


@pytest.fixture(scope="module")
def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


def test_silent_channels_cost_nothing_and_others_do(net: Net) -> None:
    found = halve_layers(net, RECIPE, BATCH, Progress())
    assert found["idle"].sqnr_db is not None
    assert found["left"].sqnr_db is not None
    assert found["idle"].sqnr_db > 100
    assert found["left"].sqnr_db < 40
    assert set(found["left"].group) == {"left", "right"}
    assert found["left"] == found["right"]
    assert found["idle"].group == ("idle",)
    assert found["head"].sqnr_db is None
    assert found["head"].reason == "5 channels stay: each is an output of the network"


def test_the_damage_is_that_of_the_network_without_these_channels(net: Net) -> None:
    found = halve_layers(net, RECIPE, BATCH, Progress())["left"]
    # Whichever three channels go, the others of the sum stay what they were: the damage is that of one of the choices.
    x = torch.from_numpy(BATCH.inputs["x"])
    with torch.no_grad():
        y = net.idle(x).relu()
        summed = (net.left(y) + net.right(y)).relu().mean((2, 3))
        expected = net.head(summed)
        levels = []
        for gone in torch.combinations(torch.arange(6), 3):
            kept = summed.clone()
            kept[:, gone] = 0
            noise = (net.head(kept) - expected).square().sum() / expected.square().sum()
            levels.append(float(-10 * torch.log10(noise)))
    assert min(abs(level - found.sqnr_db) for level in levels if found.sqnr_db is not None) < 0.01


def test_both_ways_stand_in_one_row(net: Net) -> None:
    names = InputNames(names=("x",), required=1)
    batches = Batches(role="calibration", source=lambda: [BATCH.inputs["x"]], inputs=names)
    rows = {row.name: row for row in layer_sensitivity(net, RECIPE, batches, Progress())}
    for name in ("idle", "left", "right"):
        quantized, halved = rows[name].quantized, rows[name].halved
        assert quantized is not None
        assert halved is not None
        assert halved.sqnr_db is not None
        assert quantized.sqnr_db > 20
    assert rows["head"].halved == Halved(reason="5 channels stay: each is an output of the network")
    assert UNKNOWN not in {row.halved.reason for row in rows.values() if row.halved is not None}
