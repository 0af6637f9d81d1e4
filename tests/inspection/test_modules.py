"""Modules by layer: PyTorch's count and ONNX Runtime's time under the module's own names."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

from edgecompress.data.batches import Batch
from edgecompress.inspection.modules import measured_modules
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Export, Recipe
from tests.exporters.graphs import draw

RECIPE = Recipe(export=Export(simplify=False))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x).flatten(2)
        products = y @ y.transpose(1, 2)
        scores: Tensor = self.head(products)
        return scores


def test_each_part_has_its_own_figures() -> None:
    found = measured_modules(Net().eval(), Batch(inputs={"x": draw(2, 4, 8, 8)}), RECIPE, Progress())
    layers = {layer.name: layer for layer in found.layers}
    assert list(layers) == ["body.0", "body.1", "head"]
    assert [layer.macs for layer in found.layers] == [8 * 64 * 36, 0, 8 * 8 * 5]
    assert found.other_macs == 8 * 8 * 64  # for one sample
    assert layers["body.0"].share is not None
    assert layers["head"].share is not None
    assert layers["body.1"].share is None
    assert found.other_share is not None
    assert layers["body.0"].share + layers["head"].share + found.other_share == pytest.approx(1.0)
    assert found.notes == ("without a time of their own, folded or fused into others: body.1",)


class Padded(nn.Module):
    """The shortcut of CIFAR's ResNets, whose padding of channels becomes a convolution in the export."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        summed: Tensor = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)) + self.conv(x).relu()
        return summed


def test_what_the_export_made_is_named() -> None:
    found = measured_modules(Padded().eval(), Batch(inputs={"x": draw(2, 4, 8, 8)}), RECIPE, Progress())
    assert [layer.name for layer in found.layers] == ["conv"]
    (made,) = found.notes
    assert made.startswith("merged or made by the export: ")
    assert made.endswith(" % of the time")


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 6, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        states: Tensor = self.lstm(x)[0]
        return states


def test_recurrent_layers_count() -> None:
    found = measured_modules(Recurrent().eval(), Batch(inputs={"x": draw(2, 9, 4)}), RECIPE, Progress())
    (layer,) = found.layers
    assert layer.macs == found.macs == 9 * 24 * (4 + 6)
    assert found.other_macs == 0


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        attended: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return attended


def test_what_a_module_calls_by_its_weight_counts_once() -> None:
    found = measured_modules(Attending().eval(), Batch(inputs={"x": draw(2, 5, 8)}), RECIPE, Progress())
    assert found.macs == 5 * 8 * 24 + 2 * 2 * 5 * 5 * 4 + 5 * 8 * 8


def test_a_network_in_training_stays_in_training() -> None:
    network = Net()
    held = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    measured_modules(network, Batch(inputs={"x": draw(2, 4, 8, 8)}), RECIPE, Progress())
    assert all(part.training for part in network.modules())
    assert all(tensor.equal(held[name]) for name, tensor in network.state_dict().items())
