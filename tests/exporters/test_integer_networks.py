"""Convolutional networks of five families end fully integer, through the whole conversion."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from edgecompress.data.splits import Streams
from edgecompress.loading.sources import open_batches
from edgecompress.metrics.agreement import Agreement
from edgecompress.pipeline.fold import convert
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.recipe.tables import Export, Quantization, Recipe
from edgecompress.runtime import execute
from edgecompress.techniques.context import Context
from tests.networks import CLASSES, images, seeded

MOVES = {
    "Split",
    "Transpose",
    "Reshape",
    "Slice",
    "Concat",
    "MaxPool",
    "Resize",
    "DepthToSpace",
    "Clip",
    "Flatten",
    "Gather",
}


def _block(inputs: int, outputs: int, activation: type[nn.Module], groups: int = 1, size: int = 3) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), activation())


class SqueezeExcitation(nn.Module):
    """A gate for each channel, computed from the channels' means."""

    def __init__(self, channels: int, gate: type[nn.Module]) -> None:
        super().__init__()
        layers = (nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 4, 1), nn.ReLU(), nn.Conv2d(4, channels, 1), gate())
        self.gate = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)  # type: ignore[no-any-return]


class Classifier(nn.Module):
    """Features, their means, and a linear layer."""

    def __init__(self, features: nn.Module, channels: int) -> None:
        super().__init__()
        self.features = features
        self.head = nn.Linear(channels, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.features(image).mean((2, 3)))  # type: ignore[no-any-return]


class Residual(nn.Module):
    """A sum of its input and what its layers make of it."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)  # type: ignore[no-any-return]


class Gated(Classifier):
    """MobileNetV3 or EfficientNet: a block with a depthwise convolution and a gate."""

    swish: type[nn.Module] = nn.Hardswish
    gate: type[nn.Module] = nn.Hardsigmoid

    def __init__(self) -> None:
        wide = (
            _block(8, 16, self.swish, size=1),
            _block(16, 16, self.swish, groups=16),
            SqueezeExcitation(16, self.gate),
        )
        body = Residual(*wide, _block(16, 8, nn.Identity, size=1))
        super().__init__(nn.Sequential(_block(3, 8, self.swish), body, _block(8, 16, self.swish, size=1)), 16)


class MobileNetV3(Gated):
    pass


class EfficientNet(Gated):
    swish = nn.SiLU
    gate = nn.Sigmoid


class Dense(nn.Module):
    """Batch norm and ReLU before the convolution, whose output is appended to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.grow = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, 8, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.grow(x)], dim=1)


class DenseNet(Classifier):
    def __init__(self) -> None:
        super().__init__(
            nn.Sequential(_block(3, 8, nn.ReLU), Dense(8), Dense(16), nn.AvgPool2d(2), _block(24, 8, nn.ReLU)), 8
        )


class Shuffle(nn.Module):
    """Half of the channels pass through; then the channels are dealt out in turn."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(_block(half, half, nn.ReLU, size=1), _block(half, half, nn.Identity, groups=half))

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=1)
        joined = torch.cat([left, self.branch(right)], dim=1)
        rows, channels, height, width = joined.shape
        return joined.view(rows, 2, channels // 2, height, width).transpose(1, 2).reshape(rows, channels, height, width)


class ShuffleNet(Classifier):
    def __init__(self) -> None:
        super().__init__(
            nn.Sequential(_block(3, 16, nn.ReLU), nn.MaxPool2d(2), Shuffle(16), Shuffle(16), _block(16, 8, nn.ReLU)), 8
        )


class UNet(nn.Module):
    """Down, up by a learned and by a fixed step, and across."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.down = _block(3, 8, nn.ReLU), _block(8, 16, nn.ReLU)
        self.up, self.fuse = nn.ConvTranspose2d(16, 8, 2, stride=2), _block(16, 8, nn.ReLU)
        self.wide, self.head = nn.Upsample(scale_factor=2), nn.Conv2d(24, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        first = self.first(image)
        low = self.down(nn.functional.max_pool2d(first, 2))
        fused = self.fuse(torch.cat([first, self.up(low)], dim=1))
        return self.head(torch.cat([fused, self.wide(low)], dim=1))  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", [MobileNetV3, EfficientNet, DenseNet, ShuffleNet, UNet])
def test_a_convolutional_network_ends_fully_integer(kind: type[nn.Module]) -> None:
    network, recipe = (
        seeded(kind),
        Recipe(
            quantization=Quantization(enabled=True, scheme="fbgemm", integer_entry=True), export=Export(simplify=False)
        ),
    )
    batches = open_batches(images(), "calibration", network, recipe)
    conversion = convert(network, Context(recipe=recipe, example=batches.first(), streams=Streams(calibration=batches)))
    kernels = Counter(node.op_type for node in optimized_graph(conversion.artifact))
    integer = {op for op in kernels if op.startswith("QLinear")} | {"QGemm"}
    assert kernels.keys() - integer - MOVES <= {"QuantizeLinear", "DequantizeLinear"}
    assert kernels["QuantizeLinear"] == 1
    assert kernels["DequantizeLinear"] <= 1
    assert conversion.done[-1].result.refusals == ()
    fresh = {"image": images(seed=5)[0][0].numpy()}
    agreement = Agreement.between(execute(conversion.original, fresh), execute(conversion.artifact, fresh))
    assert agreement.sqnr_db > 20
