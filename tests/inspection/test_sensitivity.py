"""Sensitivity by layer: what halves of layers cost, and why some have none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from edgecompress.data.batches import Batch, Batches, InputNames
from edgecompress.errors import DataError
from edgecompress.inspection.sensitivity import UNKNOWN, Halved, halve_layers, layer_sensitivity
from edgecompress.metrics.metric import named_measure
from edgecompress.pipeline.prepare import prepare
from edgecompress.progress import Progress
from edgecompress.pruning.channels.sensitivity import CHANGES_SIZE
from edgecompress.recipe.tables import Export, Quantization, Recipe
from edgecompress.techniques.context import Context
from edgecompress.techniques.cutting import examine_network
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


class Normed(nn.Module):
    """What differs in training, a join of channels, and a weight that a norm makes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.drop = weight_norm(nn.Conv2d(8, 6, 3, padding=1)), nn.Dropout(0.5)
        self.head = nn.Conv2d(14, 5, 1)
        with torch.no_grad():
            self.norm.running_mean = torch.linspace(-1, 1, 8)
            self.norm.running_var = torch.linspace(0.5, 4, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.first(x)).relu()
        scores: Tensor = self.head(torch.cat([self.drop(self.second(y)).relu(), y], 1))
        return scores


def _normed() -> Normed:
    torch.manual_seed(0)
    return Normed()


def test_a_network_in_training_is_halved_as_in_evaluation_and_stays_as_it_was() -> None:
    network = _normed()  # as a factory hands it over
    held = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = halve_layers(network, RECIPE, BATCH, Progress())
    assert found == halve_layers(_normed().eval(), RECIPE, BATCH, Progress())
    assert all(found[name].sqnr_db is not None for name in ("first", "second"))
    assert all(part.training for part in network.modules())
    assert all(torch.equal(tensor, held[name]) for name, tensor in network.state_dict().items())


def test_what_is_halved_is_what_pruning_cuts() -> None:
    context = Context(recipe=Recipe(export=RECIPE.export), example=BATCH, progress=Progress())
    before, _ = prepare(_normed(), context)
    assert isinstance(before, nn.Module)
    made = {name for group in examine_network(before, context).groups for name, _ in group.members}
    halved = {name for name, half in halve_layers(_normed(), RECIPE, BATCH, Progress()).items() if half.group}
    assert halved == {"first", "second"}
    assert {f"{name}.weight" for name in halved} <= made


class _Uneven(nn.Module):
    """Its outputs are as many as samples have a positive score, which pruning changes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 4), nn.Linear(4, 1)
        with torch.no_grad():
            for part in (self.first, self.second):
                part.weight.fill_(1.0)
                part.bias.fill_(0.0)
            self.first.bias.copy_(torch.tensor([1.0, 1.0, -1.0, -1.0]))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.second(self.first(x))
        return scores[scores[:, 0] > 0]


def test_the_reason_is_the_one_that_there_was() -> None:
    rows = np.array([[-0.5, -0.25], [1.0, 2.0], [0.25, -0.125], [-0.125, -0.25]], np.float32)
    found = halve_layers(_Uneven(), Recipe(export=Export(batch_size=4)), Batch(inputs={"x": rows}), Progress())
    assert found["first"].reason is not None
    assert found["first"].reason == CHANGES_SIZE.partition(";")[0]


def _data(role: str, *batches: Any, measure: str = "top1") -> Batches:
    names = InputNames(names=("x",), required=1)
    return Batches(
        role=role, source=lambda: list(batches), inputs=names, measure=named_measure(measure), label_kinds="iuf"
    )


def test_what_the_metric_loses_is_the_noise_of_the_layer_alone(net: Net) -> None:
    # Against the float model's own outputs its error is 0, and that of an integer layer is the noise in its SQNR.
    x = BATCH.inputs["x"]
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    evaluation = _data("evaluation", (x, expected), measure="rmse")
    rows = layer_sensitivity(net, RECIPE, _data("calibration", x), Progress(), evaluation)
    found = [row.quantized for row in rows if row.quantized is not None]
    assert {layer.name for layer in found} >= {"idle", "left", "right"}
    for layer in found:
        noise = np.sqrt(np.mean(np.square(expected))) * 10 ** (-layer.sqnr_db / 20)
        assert layer.metric_drop == pytest.approx(noise, rel=1e-3)


def test_without_evaluation_data_no_metric_is_measured(net: Net) -> None:
    rows = layer_sensitivity(net, RECIPE, _data("calibration", BATCH.inputs["x"]), Progress())
    assert {row.quantized.metric_drop for row in rows if row.quantized is not None} == {None}


def test_evaluation_data_without_labels_are_refused(net: Net) -> None:
    x = BATCH.inputs["x"]
    with pytest.raises(DataError, match="no metric is measured without labels; give evaluation data with labels"):
        layer_sensitivity(net, RECIPE, _data("calibration", x), Progress(), _data("evaluation", x))


def test_both_ways_stand_in_one_row(net: Net) -> None:
    batches = _data("calibration", BATCH.inputs["x"])
    rows = {row.name: row for row in layer_sensitivity(net, RECIPE, batches, Progress())}
    for name in ("idle", "left", "right"):
        quantized, halved = rows[name].quantized, rows[name].halved
        assert quantized is not None
        assert halved is not None
        assert halved.sqnr_db is not None
        assert quantized.sqnr_db > 20
    assert rows["head"].halved == Halved(reason="5 channels stay: each is an output of the network")
    assert UNKNOWN not in {row.halved.reason for row in rows.values() if row.halved is not None}
