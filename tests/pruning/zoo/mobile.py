"""Networks for small devices: depthwise convolutions, squeeze-and-excitation, channel shuffles."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.pruning.zoo.entry import Entry
from tests.pruning.zoo.residual import PICTURE


def conv_norm(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class MobileNetV1(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_norm(3, 8, 3, 2), nn.ReLU()]
        for inputs, outputs, stride in ((8, 16, 1), (16, 24, 2)):
            layers += [conv_norm(inputs, inputs, 3, stride, groups=inputs), nn.ReLU()]
            layers += [conv_norm(inputs, outputs), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.pool = nn.AvgPool2d(4)
        self.fc = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.pool(self.features(x)).reshape(-1, self.fc.in_features))


class SqueezeExcite(nn.Module):
    def __init__(self, width: int, hidden: int, gate: nn.Module) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(width, hidden, 1), nn.Conv2d(hidden, width, 1)
        self.gate = gate

    def forward(self, x: Tensor) -> Any:
        squeezed = functional.relu(self.reduce(x.mean((2, 3), keepdim=True)))
        return x * self.gate(self.expand(squeezed))


class InvertedResidual(nn.Module):
    def __init__(
        self, inputs: int, outputs: int, hidden: int, stride: int, act: type[nn.Module], se: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.expand, self.project = conv_norm(inputs, hidden), conv_norm(hidden, outputs)
        self.depthwise = conv_norm(hidden, hidden, 3, stride, groups=hidden)
        self.act, self.se = act(), se if se is not None else nn.Identity()
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Any:
        y = self.se(self.act(self.depthwise(self.act(self.expand(x)))))
        y = self.project(y)
        return x + y if self.residual else y


class MobileNet(nn.Module):
    """V2, V3 and EfficientNet differ in their activations, gates and classifier."""

    def __init__(self, act: type[nn.Module], gate: type[nn.Module] | None, head: nn.Module) -> None:
        super().__init__()
        squeeze = [SqueezeExcite(width, 4, gate()) if gate else None for width in (16, 24)]
        self.stem = nn.Sequential(conv_norm(3, 8, 3, 2), act())
        self.block1 = InvertedResidual(8, 8, 16, 1, act, squeeze[0])
        self.block2 = InvertedResidual(8, 12, 24, 2, act, squeeze[1])
        self.last = nn.Sequential(conv_norm(12, 32), act())
        self.head = head

    def forward(self, x: Tensor) -> Any:
        x = self.last(self.block2(self.block1(self.stem(x))))
        return self.head(functional.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


class ShuffleUnit(nn.Module):
    """Half of the channels passes through; the halves are interleaved."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.stride = stride
        self.branch1 = nn.Sequential(conv_norm(inputs, inputs, 3, 2, inputs), conv_norm(inputs, half), nn.ReLU())
        if stride == 1:
            self.branch1 = nn.Sequential()
        first = inputs if stride > 1 else half
        self.branch2 = nn.Sequential(
            conv_norm(first, half), nn.ReLU(), conv_norm(half, half, 3, stride, half), conv_norm(half, half), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Any:
        if self.stride == 1:
            x1, x2 = x.chunk(2, dim=1)
            y = torch.cat((x1, self.branch2(x2)), dim=1)
        else:
            y = torch.cat((self.branch1(x), self.branch2(x)), dim=1)
        return _shuffle(y, 2)


def _shuffle(x: Tensor, groups: int) -> Tensor:
    batch, channels, height, width = x.shape
    x = x.view(batch, groups, channels // groups, height, width)
    return x.transpose(1, 2).contiguous().view(batch, channels, height, width)


class ShuffleNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, 8, 3, 1), nn.ReLU())
        self.stage = nn.Sequential(ShuffleUnit(8, 16, 2), ShuffleUnit(16, 16, 1))
        self.last = nn.Sequential(conv_norm(16, 24), nn.ReLU())
        self.fc = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.last(self.stage(self.stem(x))).mean([2, 3]))


class GroupedShuffle(nn.Module):
    """ShuffleNetV1: grouped 1x1 convolutions with nn.ChannelShuffle between them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, 16, 3, 2), nn.ReLU())
        self.squeeze, self.shuffle = conv_norm(16, 8, groups=2), nn.ChannelShuffle(2)
        self.depthwise, self.expand = conv_norm(8, 8, 3, groups=8), conv_norm(8, 16, groups=2)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        x = functional.relu(x + self.expand(self.depthwise(self.shuffle(functional.relu(self.squeeze(x))))))
        return self.fc(x.mean((2, 3)))


def _inverted(**more: int) -> dict[str, int]:
    own = {"stem.0.0": 8, "block1.expand.0": 16, "block2.expand.0": 24, "block2.project.0": 12, "last.0.0": 32}
    return {**own, **more}


_SQUEEZES = {"block1.se.reduce": 4, "block2.se.reduce": 4}

ENTRIES = {
    "mobilenet_v1": Entry(
        build=MobileNetV1,
        draw=PICTURE,
        groups={"features.0.0": 8, "features.4.0": 16, "features.8.0": 24},
        whole=("fc",),
    ),
    "mobilenet_v2": Entry(
        build=lambda: MobileNet(nn.ReLU6, None, nn.Linear(32, 10)), draw=PICTURE, groups=_inverted(), whole=("head",)
    ),
    "mobilenet_v3": Entry(
        build=lambda: MobileNet(
            nn.Hardswish,
            nn.Hardsigmoid,
            nn.Sequential(nn.Linear(32, 24), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(24, 10)),
        ),
        draw=PICTURE,
        groups=_inverted(**_SQUEEZES, **{"head.0": 24}),
        whole=("head.3",),
    ),
    "efficientnet": Entry(
        build=lambda: MobileNet(nn.SiLU, nn.Sigmoid, nn.Linear(32, 10)),
        draw=PICTURE,
        groups=_inverted(**_SQUEEZES),
        whole=("head",),
    ),
    # position j of the first unit's 16 outputs stays with j + 8 (the halves are equal), and the two branches stay in
    # step (the shuffle's rows are equal): 4 units; what the second unit computes follows
    "shufflenet_v2": Entry(
        build=ShuffleNet,
        draw=PICTURE,
        groups={
            "stem.0.0": 8,
            "stage.0.branch2.0.0": 8,
            "stage.0.branch1.1.0": 4,
            "stage.1.branch2.0.0": 8,
            "last.0.0": 24,
        },
        whole=("fc",),
    ),
    # the two groups of each convolution keep the same places; the shuffle ties neighbours to the groups
    "shufflenet_v1": Entry(build=GroupedShuffle, draw=PICTURE, groups={"stem.0.0": 8, "squeeze.0": 2}, whole=("fc",)),
}
