"""Networks with residual streams: ResNets and their kin."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.pruning.zoo.entry import Entry, images


class Basic(nn.Module):
    """Two 3x3 convolutions; the shortcut is projected where its shape changes."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Any:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + self.shortcut(x))


class Bottleneck(nn.Module):
    """A 3x3 convolution, grouped in ResNeXt, between two 1x1."""

    expansion = 2

    def __init__(self, inputs: int, width: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)  # shared, as in torchvision
        self.shortcut = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Any:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(y)))))
        y += self.shortcut(x)
        return self.relu(y)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    def __init__(self, block: Any, **options: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, 1)
        middle, last = 8 * block.expansion, 16 * block.expansion
        self.layer1 = nn.Sequential(block(8, 8, 1, **options), block(middle, 8, 1, **options))
        self.layer2 = nn.Sequential(block(middle, 16, 2, **options))
        self.fc = nn.Linear(last, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.layer2(self.layer1(self.pool(self.stem(x))))
        return self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class PaddingBlock(nn.Module):
    """The parameter-free shortcut of the CIFAR ResNets: every second pixel, with channels of zeros around."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1 if inputs == outputs else 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.extra = (outputs - inputs) // 2

    def forward(self, x: Tensor) -> Any:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.extra:
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra, self.extra))
        return functional.relu(y + x)


class PaddingResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.blocks = nn.Sequential(PaddingBlock(8, 8), PaddingBlock(8, 16), PaddingBlock(16, 32))
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.blocks(functional.relu(self.norm(self.stem(x)))).mean((2, 3)))


class ConvNeXtBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.reduce = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Any:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.gamma * self.reduce(functional.gelu(self.expand(y)))
        return x + y.permute(0, 3, 1, 2)


class ChannelsFirstNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Any:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 4, 4), ChannelsFirstNorm(8))
        self.stage1 = nn.Sequential(ConvNeXtBlock(8), ConvNeXtBlock(8))
        self.down = nn.Sequential(ChannelsFirstNorm(8), nn.Conv2d(8, 16, 2, 2))
        self.stage2 = ConvNeXtBlock(16)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.stage2(self.down(self.stage1(self.stem(x))))
        return self.head(self.norm(x.mean([-2, -1])))


class GroupNormNet(nn.Module):
    """Several groups, one group, a group for each channel, and instance normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 16, 3, 1, 1), nn.GroupNorm(4, 16)
        self.conv2, self.norm2 = nn.Conv2d(16, 12, 3, 2, 1), nn.GroupNorm(1, 12)
        self.conv3, self.norm3 = nn.Conv2d(12, 16, 3, 1, 1), nn.GroupNorm(16, 16)
        self.conv4, self.norm4 = nn.Conv2d(16, 8, 3, 1, 1), nn.InstanceNorm2d(8, affine=True)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Any:
        x = functional.silu(self.norm1(self.conv1(x)))
        x = functional.silu(self.norm2(self.conv2(x)))
        x = functional.silu(self.norm3(self.conv3(x)))
        return self.head(functional.silu(self.norm4(self.conv4(x))).amax((2, 3)))


def _bottleneck(inner: int, first: int, second: int) -> dict[str, int]:
    """The stem; two residual streams; ``inner`` units of each inner convolution, twice in the second stage."""
    blocks = {"layer1.0": inner, "layer1.1": inner, "layer2.0": 2 * inner}
    groups = {f"{block}.conv{index}": units for block, units in blocks.items() for index in (1, 2)}
    return {"stem.0": 8, "layer1.0.conv3": first, "layer2.0.conv3": second, **groups}


PICTURE = images(2, 3, 16, 16)

ENTRIES = {
    "resnet_basic": Entry(
        build=lambda: ResNet(Basic),
        draw=PICTURE,
        groups={"stem.0": 8, "layer1.0.conv1": 8, "layer1.1.conv1": 8, "layer2.0.conv1": 16, "layer2.0.conv2": 16},
        whole=("fc",),
    ),
    "resnet_bottleneck": Entry(
        build=lambda: ResNet(Bottleneck), draw=PICTURE, groups=_bottleneck(8, 16, 32), whole=("fc",)
    ),
    # two groups keep the same places, so that pairs of channels leave together
    "resnext": Entry(
        build=lambda: ResNet(Bottleneck, groups=2), draw=PICTURE, groups=_bottleneck(4, 16, 32), whole=("fc",)
    ),
    # padding puts 4 channels on each side, which leave in pairs, then 8 on each side
    "resnet_padding": Entry(
        build=PaddingResNet,
        draw=PICTURE,
        groups={
            "stem": 8,
            "blocks.0.conv1": 8,
            "blocks.1.conv1": 16,
            "blocks.1.conv2": 4,
            "blocks.2.conv1": 32,
            "blocks.2.conv2": 8,
        },
        whole=("fc",),
    ),
    "convnext": Entry(
        build=ConvNeXt,
        draw=images(2, 3, 32, 32),
        groups={
            "stem.0": 8,
            "stage1.0.expand": 32,
            "stage1.1.expand": 32,
            "down.1": 16,
            "stage2.expand": 64,
        },
        whole=("head",),
    ),
    "group_norm": Entry(
        build=GroupNormNet, draw=PICTURE, groups={"conv1": 4, "conv2": 12, "conv3": 16, "conv4": 8}, whole=("head",)
    ),
}
