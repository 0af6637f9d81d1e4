"""Networks that branch, join, flatten, upsample, and other shapes of convolution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.pruning.zoo.entry import Entry, Inputs, images
from tests.pruning.zoo.mobile import conv_norm
from tests.pruning.zoo.residual import PICTURE


class VGG(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU()
        )
        self.pool = nn.AdaptiveAvgPool2d((4, 4))
        self.classifier = nn.Sequential(nn.Linear(12 * 4 * 4, 20), nn.ReLU(), nn.Dropout(), nn.Linear(20, 10))

    def forward(self, x: Tensor) -> Any:
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))


class DenseLayer(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 2 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(2 * growth), nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False)

    def forward(self, features: list[Tensor]) -> Any:
        y = self.conv1(functional.relu(self.norm1(torch.cat(features, 1))))
        return self.conv2(functional.relu(self.norm2(y)))


class DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.layers = nn.ModuleList(DenseLayer(8 + 4 * index, 4) for index in range(3))
        self.transition = nn.Sequential(nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 10, 1), nn.AvgPool2d(2, 2))
        self.last = DenseLayer(10, 4)
        self.norm = nn.BatchNorm2d(14)
        self.fc = nn.Linear(14, 10)

    def forward(self, x: Tensor) -> Any:
        features = [self.stem(x)]
        for layer in self.layers:
            features.append(layer(features))
        y = self.transition(torch.cat(features, 1))
        y = torch.cat([y, self.last([y])], 1)
        return self.fc(functional.relu(self.norm(y)).mean((2, 3)))


class InceptionBlock(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch1 = conv_norm(inputs, 4)
        self.branch3 = nn.Sequential(conv_norm(inputs, 4), nn.ReLU(), conv_norm(4, 6, 3))
        self.wide = nn.Conv2d(4, 4, (1, 3), padding=(0, 1))
        self.pooled = nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_norm(inputs, 2))

    def forward(self, x: Tensor) -> Any:
        first = self.branch1(x)
        return functional.relu(
            torch.cat([first, self.branch3(x), self.wide(functional.relu(first)), self.pooled(x)], 1)
        )


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.blocks = nn.Sequential(InceptionBlock(8), InceptionBlock(16))
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.blocks(functional.relu(self.stem(x))).mean((2, 3)))


class UNet(nn.Module):
    """One step up is a transposed convolution, the other an interpolation."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = conv_norm(3, 8, 3), conv_norm(8, 12, 3), conv_norm(12, 16, 3)
        self.up2 = nn.ConvTranspose2d(16, 10, 2, stride=2)
        self.dec2, self.dec1 = conv_norm(22, 12, 3), conv_norm(20, 8, 3)
        self.head = nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> Any:
        skip1 = functional.relu(self.down1(x))
        skip2 = functional.relu(self.down2(functional.max_pool2d(skip1, 2)))
        y = self.up2(functional.relu(self.bottom(functional.max_pool2d(skip2, 2))))
        y = functional.relu(self.dec2(torch.cat([y, skip2], 1)))
        y = functional.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
        return self.head(functional.relu(self.dec1(torch.cat([skip1, y], dim=1))))


class SpatialAttention(nn.Module):
    """CBAM: a map from the mean and the greatest of the channels, which therefore stay."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 12, 3, padding=1)
        self.map = nn.Conv2d(2, 1, 3, padding=1)
        self.fc = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Any:
        x = functional.relu(self.conv2(functional.relu(self.conv1(x))))
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return self.fc((x * torch.sigmoid(self.map(pooled))).mean((2, 3)))


class Conv1d(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv1d(4, 8, 5, padding=2), nn.BatchNorm1d(8)
        self.conv2, self.norm2 = nn.Conv1d(8, 12, 3, dilation=2), nn.BatchNorm1d(12)
        self.pool, self.fc = nn.MaxPool1d(2), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Any:
        x = self.pool(functional.leaky_relu(self.norm1(self.conv1(x))))
        x = functional.elu(self.norm2(self.conv2(x)))
        return self.fc(functional.adaptive_avg_pool1d(x, 1).squeeze(-1))


class Conv3d(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm = nn.Conv3d(2, 6, 3, padding=1), nn.BatchNorm3d(6)
        self.conv2, self.fc = nn.Conv3d(6, 8, 3, stride=2), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        x = functional.max_pool3d(functional.relu(self.norm(self.conv1(x))), 2)
        return self.fc(functional.softplus(self.conv2(x)).mean((2, 3, 4)))


class PReLUNet(nn.Module):
    """A slope for each channel, and BatchNorm1d after a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.slopes = nn.Conv2d(3, 8, 3), nn.PReLU(8)
        self.hidden, self.norm, self.slope = nn.Linear(8 * 9, 12), nn.BatchNorm1d(12), nn.PReLU()
        self.fc = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Any:
        x = functional.max_pool2d(self.slopes(self.conv(x)), 4).flatten(1)
        return self.fc(self.slope(self.norm(self.hidden(x))))


class ManyInputs(nn.Module):
    """Two inputs and a dict of outputs, one of which is a hidden layer: that stays whole."""

    def __init__(self) -> None:
        super().__init__()
        self.picture, self.vector = nn.Conv2d(3, 8, 3), nn.Linear(6, 8)
        self.mix, self.head = nn.Linear(16, 12), nn.Linear(12, 5)
        self.side = nn.Linear(16, 7)

    def forward(self, picture: Tensor, vector: Tensor) -> dict[str, Tensor]:
        seen = functional.relu(self.picture(picture)).mean((2, 3))
        joined = torch.cat([seen, torch.tanh(self.vector(vector))], -1)
        hidden = functional.relu(self.mix(joined))
        return {"logits": self.head(hidden), "hidden": hidden, "side": self.side(joined).sigmoid()}


def _many() -> Inputs:
    return {"picture": torch.randn(2, 3, 8, 8), "vector": torch.randn(2, 6)}


_DENSE = {f"layers.{index}.conv{which}": 12 - 4 * which for index in range(3) for which in (1, 2)}

ENTRIES = {
    "vgg": Entry(
        build=VGG,
        draw=PICTURE,
        groups={"features.0": 8, "features.3": 12, "classifier.0": 20},
        whole=("classifier.3",),
    ),
    "densenet": Entry(
        build=DenseNet,
        draw=PICTURE,
        groups={"stem": 8, **_DENSE, "transition.2": 10, "last.conv1": 8, "last.conv2": 4},
        whole=("fc",),
    ),
    "inception": Entry(
        build=Inception,
        draw=PICTURE,
        groups={
            "stem": 8,
            **{
                f"blocks.{index}.{name}": units
                for index in (0, 1)
                for name, units in (
                    ("branch1.0", 4),
                    ("branch3.0.0", 4),
                    ("branch3.2.0", 6),
                    ("wide", 4),
                    ("pooled.1.0", 2),
                )
            },
        },
        whole=("fc",),
    ),
    "unet": Entry(
        build=UNet,
        draw=PICTURE,
        groups={"down1.0": 8, "down2.0": 12, "bottom.0": 16, "up2": 10, "dec2.0": 12, "dec1.0": 8},
        whole=("head",),
    ),
    "spatial_attention": Entry(build=SpatialAttention, draw=PICTURE, groups={"conv1": 8}, whole=("conv2", "fc")),
    "conv1d": Entry(build=Conv1d, draw=images(2, 4, 20), groups={"conv1": 8, "conv2": 12}, whole=("fc",)),
    "conv3d": Entry(build=Conv3d, draw=images(2, 2, 8, 8, 8), groups={"conv1": 6, "conv2": 8}, whole=("fc",)),
    "prelu": Entry(build=PReLUNet, draw=PICTURE, groups={"conv": 8, "hidden": 12}, whole=("fc",)),
    "many_inputs": Entry(
        build=ManyInputs, draw=_many, groups={"picture": 8, "vector": 8}, whole=("mix", "head", "side")
    ),
}
