"""Small networks and their data, shared by the tests."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIDE = 16
CLASSES = 10


class ConvNet(nn.Module):
    """Convolution, batch norm and ReLU, twice, with a linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(16, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier(self.pool(self.features(image)).flatten(1))  # type: ignore[no-any-return]


class ResidualNet(nn.Module):
    """ReLU6, a depthwise convolution, and a residual Add."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.ReLU6())
        self.project = nn.Conv2d(8, 8, 1)
        self.classifier = nn.Linear(8, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        features = self.stem(image)
        features = features + self.project(self.depthwise(features))
        return self.classifier(features.mean((2, 3)))  # type: ignore[no-any-return]


class LinearStack(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, CLASSES))

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)  # type: ignore[no-any-return]


class TwoInputs(nn.Module):
    """Two inputs, the second integer, and a dict of two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.mix = nn.Linear(8 + 4, 16)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, features: Tensor, token: Tensor) -> dict[str, Tensor]:
        hidden = torch.relu(self.mix(torch.cat([features, self.embedding(token)], dim=1)))
        return {"logits": self.head(hidden), "hidden": hidden}


def seeded(kind: type[nn.Module], seed: int = 0) -> nn.Module:
    """A network in evaluation mode, its batch norms filled as if it had been trained."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = kind()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.copy_(torch.randn(part.num_features, generator=generator) * 0.1)
            part.running_var.copy_(torch.rand(part.num_features, generator=generator) * 0.5 + 0.5)
    return network.eval()


def uneven() -> nn.Module:
    """A network whose channels differ so much that one scale for a weight is far too coarse for most of them."""
    network = seeded(ConvNet)
    first = next(part for part in network.modules() if isinstance(part, nn.Conv2d))
    with torch.no_grad():
        first.weight[0] *= 300
    return network


def images(rows: int = 16, batches: int = 4, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Batches of ``(images, labels)``: float32 (rows, 3, 16, 16), labels 0 to 9."""
    generator = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randn(rows, 3, SIDE, SIDE, generator=generator),
            torch.randint(0, CLASSES, (rows,), generator=generator),
        )
        for _ in range(batches)
    ]


def vectors(rows: int = 16, batches: int = 4, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Batches of ``(features, labels)``: float32 (rows, 32), labels 0 to 9."""
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(rows, 32, generator=generator), torch.randint(0, CLASSES, (rows,), generator=generator))
        for _ in range(batches)
    ]
