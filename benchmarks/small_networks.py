"""Twelve small networks of the kinds that people ship, written from their papers, with seeded random weights.

Batch norms have the statistics of normal inputs, so that the signal goes through as it does in a trained network. What
they cost is real, what they answer is not: an SQNR tells of the arithmetic, and says nothing about accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

SETTLING, BATCH = 4, 8
"""Batches that batch norms take their statistics from, and samples in each."""


def conv(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: type | None = nn.ReLU
) -> nn.Module:
    """A convolution that keeps the size, its batch norm, and an activation."""
    parts: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*parts, *([] if act is None else [act()]))


def head(channels: int, classes: int) -> nn.Module:
    """The mean over the picture, and a score for each class."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


class Gate(nn.Module):
    """Squeeze and excitation: a factor for each channel (arXiv:1709.01507)."""

    def __init__(self, channels: int, inner: type, outer: type) -> None:
        super().__init__()
        squeezed = max(8, channels // 4)
        self.factors = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            inner(),
            nn.Conv2d(squeezed, channels, 1),
            outer(),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x * self.factors(x)
        return y


class Inverted(nn.Module):
    """An inverted residual: wider, by channel, and narrow again (arXiv:1801.04381, 1905.02244, 1905.11946)."""

    def __init__(
        self, inputs: int, wide: int, outputs: int, kernel: int, stride: int, act: type, gate: tuple[type, type] | None
    ) -> None:
        super().__init__()
        gates = [] if gate is None else [Gate(wide, *gate)]
        self.layers = nn.Sequential(
            conv(inputs, wide, act=act),
            conv(wide, wide, kernel, stride, wide, act),
            *gates,
            conv(wide, outputs, act=None),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.adds else y


def mobilenet_v3() -> nn.Module:
    """MobileNetV3-Small."""
    hard, gate = nn.Hardswish, (nn.ReLU, nn.Hardsigmoid)
    rows = [
        *((16, 16, 3, 2, nn.ReLU, gate), (72, 24, 3, 2, nn.ReLU, None), (88, 24, 3, 1, nn.ReLU, None)),
        *((96, 40, 5, 2, hard, gate), (240, 40, 5, 1, hard, gate), (240, 40, 5, 1, hard, gate)),
        *((120, 48, 5, 1, hard, gate), (144, 48, 5, 1, hard, gate)),
        *((288, 96, 5, 2, hard, gate), (576, 96, 5, 1, hard, gate), (576, 96, 5, 1, hard, gate)),
    ]
    blocks, channels = [], 16
    for wide, outputs, kernel, stride, act, squeeze in rows:
        blocks.append(Inverted(channels, wide, outputs, kernel, stride, act, squeeze))
        channels = outputs
    return nn.Sequential(conv(3, 16, 3, 2, act=hard), *blocks, conv(96, 576, act=hard), head(576, 1000))


def efficientnet() -> nn.Module:
    """EfficientNet-B0's blocks, one or two of each stage."""
    silu, gate = nn.SiLU, (nn.SiLU, nn.Sigmoid)
    rows = [
        (1, 16, 3, 1, 1),
        (6, 24, 3, 2, 2),
        (6, 40, 5, 2, 2),
        (6, 80, 3, 2, 2),
        (6, 112, 5, 1, 1),
        (6, 192, 5, 2, 1),
    ]
    blocks, channels = [], 32
    for factor, outputs, kernel, stride, count in rows:
        for index in range(count):
            step = stride if index == 0 else 1
            blocks.append(Inverted(channels, channels * factor, outputs, kernel, step, silu, gate))
            channels = outputs
    return nn.Sequential(conv(3, 32, 3, 2, act=silu), *blocks, conv(192, 640, act=silu), head(640, 1000))


class Shuffled(nn.Module):
    """A unit of ShuffleNetV2 (arXiv:1807.11164): half of the channels pass, and the halves are mixed."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        half = channels // 2
        inputs = half if stride == 1 else channels // 2
        self.stride = stride
        self.main = nn.Sequential(conv(inputs, half), conv(half, half, 3, stride, half, None), conv(half, half))
        self.short = nn.Sequential(conv(inputs, inputs, 3, stride, inputs, None), conv(inputs, half))

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            passed, used = x.chunk(2, dim=1)
        else:
            passed, used = self.short(x), x
        both = torch.cat([passed, self.main(used)], dim=1)
        rows, channels, height, width = both.shape
        return (
            both.reshape(rows, 2, channels // 2, height, width).transpose(1, 2).reshape(rows, channels, height, width)
        )


def shufflenet() -> nn.Module:
    """ShuffleNetV2 with stages of 48, 96 and 192 channels."""
    stages = [
        Shuffled(channels, 2 if index == 0 else 1)
        for channels, count in ((48, 4), (96, 8), (192, 4))
        for index in range(count)
    ]
    return nn.Sequential(conv(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1), *stages, conv(192, 512), head(512, 1000))


class Ghost(nn.Module):
    """A ghost module (arXiv:1911.11907): half of the channels are cheap copies of the other half."""

    def __init__(self, inputs: int, outputs: int, act: type | None = nn.ReLU) -> None:
        super().__init__()
        half = outputs // 2
        self.primary, self.cheap = conv(inputs, half, act=act), conv(half, half, 3, 1, half, act)

    def forward(self, x: Tensor) -> Tensor:
        first = self.primary(x)
        return torch.cat([first, self.cheap(first)], dim=1)


class GhostBlock(nn.Module):
    """Two ghost modules, a convolution by channel where the size halves, and a shortcut."""

    def __init__(self, inputs: int, wide: int, outputs: int, stride: int) -> None:
        super().__init__()
        middle = [conv(wide, wide, 3, 2, wide, None)] if stride == 2 else []
        self.layers = nn.Sequential(Ghost(inputs, wide), *middle, Ghost(wide, outputs, None))
        short = nn.Sequential(conv(inputs, inputs, 3, stride, inputs, None), conv(inputs, outputs, act=None))
        self.short = nn.Identity() if stride == 1 and inputs == outputs else short

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x) + self.short(x)
        return y


def ghostnet() -> nn.Module:
    """A small GhostNet."""
    rows = [(16, 16, 1), (48, 24, 2), (72, 24, 1), (72, 40, 2), (120, 40, 1), (240, 80, 2), (200, 80, 1), (480, 112, 1)]
    blocks, channels = [], 16
    for wide, outputs, stride in rows:
        blocks.append(GhostBlock(channels, wide, outputs, stride))
        channels = outputs
    return nn.Sequential(conv(3, 16, 3, 2), *blocks, conv(112, 480), head(480, 1000))


class UNet(nn.Module):
    """A U-Net (arXiv:1505.04597) of three levels, and the probability of each of 8 classes."""

    def __init__(self) -> None:
        super().__init__()
        widths = (16, 32, 64)
        self.down = nn.ModuleList(
            nn.Sequential(conv(before, width, 3), conv(width, width, 3))
            for before, width in zip((3, *widths), widths, strict=False)
        )
        self.bottom = nn.Sequential(conv(64, 128, 3), conv(128, 128, 3))
        self.rise = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, 2) for width in reversed(widths))
        self.up = nn.ModuleList(
            nn.Sequential(conv(2 * width, width, 3), conv(width, width, 3)) for width in reversed(widths)
        )
        self.scores = nn.Conv2d(16, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for level in self.down:
            x = level(x)
            kept.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.bottom(x)
        for rise, level in zip(self.rise, self.up, strict=True):
            x = level(torch.cat([rise(x), kept.pop()], dim=1))
        scores: Tensor = self.scores(x)
        return scores.softmax(dim=1)


class C2f(nn.Module):
    """Two halves, one of which goes through bottlenecks, all of whose results are joined."""

    def __init__(self, inputs: int, outputs: int, count: int = 1, *, adds: bool = True) -> None:
        super().__init__()
        half = outputs // 2
        self.enter = conv(inputs, outputs, act=nn.SiLU)
        self.steps = nn.ModuleList(
            nn.Sequential(conv(half, half, 3, act=nn.SiLU), conv(half, half, 3, act=nn.SiLU)) for _ in range(count)
        )
        self.leave = conv((2 + count) * half, outputs, act=nn.SiLU)
        self.adds = adds

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.enter(x).chunk(2, dim=1))
        for step in self.steps:
            made = step(parts[-1])
            parts.append(parts[-1] + made if self.adds else made)
        y: Tensor = self.leave(torch.cat(parts, dim=1))
        return y


class Yolo(nn.Module):
    """Two scales of a detector as ultralytics builds it: C2f, an upsampling neck, distances as distributions."""

    BINS, CLASSES = 16, 20

    def __init__(self) -> None:
        super().__init__()
        down = [conv(before, after, 3, 2, act=nn.SiLU) for before, after in ((3, 16), (16, 32), (32, 64), (64, 128))]
        self.early = nn.Sequential(down[0], down[1], C2f(32, 32), down[2], C2f(64, 64))
        self.late = nn.Sequential(down[3], C2f(128, 128))
        self.merge = C2f(192, 64, adds=False)
        self.boxes = nn.ModuleList(self._branch(width, 4 * self.BINS) for width in (64, 128))
        self.scores = nn.ModuleList(self._branch(width, self.CLASSES) for width in (64, 128))

    @staticmethod
    def _branch(width: int, outputs: int) -> nn.Module:
        return nn.Sequential(conv(width, 64, 3, act=nn.SiLU), nn.Conv2d(64, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        fine = self.early(x)
        coarse = self.late(fine)
        fine = self.merge(torch.cat([functional.interpolate(coarse, scale_factor=2.0), fine], dim=1))
        scales = (fine, coarse)
        boxes = torch.cat([branch(y).flatten(2) for branch, y in zip(self.boxes, scales, strict=True)], dim=2)
        scores = torch.cat([branch(y).flatten(2) for branch, y in zip(self.scores, scales, strict=True)], dim=2)
        shares = boxes.reshape(boxes.shape[0], 4, self.BINS, -1).softmax(dim=2)
        bins = torch.arange(self.BINS, dtype=torch.float32).reshape(1, 1, -1, 1)
        return torch.cat([(shares * bins).sum(dim=2), scores.sigmoid()], dim=1)


class FaceNet(nn.Module):
    """A proposal network for faces (arXiv:1604.02878), wider: PReLU, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(before, after, 3), nn.PReLU(after), nn.MaxPool2d(2, 2, ceil_mode=True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(64, 64, 3), nn.PReLU(64))
        self.faces, self.boxes = nn.Conv2d(64, 2, 1), nn.Conv2d(64, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.layers(x)
        return self.faces(y).softmax(dim=1), self.boxes(y)


class TextReader(nn.Module):
    """A text recognizer (arXiv:1507.05717): convolutions, two bidirectional LSTM layers, a character at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv(1, 32, 3), nn.MaxPool2d(2), conv(32, 64, 3), nn.MaxPool2d(2), conv(64, 128, 3), nn.MaxPool2d((2, 1)),
            conv(128, 128, 3), nn.MaxPool2d((4, 1)),
        )  # fmt: skip
        self.steps = nn.LSTM(128, 96, num_layers=2, bidirectional=True, batch_first=True)
        self.characters = nn.Linear(192, 80)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.characters(self.steps(self.layers(x).squeeze(2).transpose(1, 2))[0])
        return y


class Keywords(nn.Module):
    """A keyword spotter: a convolution over 40 frequencies, a GRU, 12 words."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(40, 128, 5, 2, 2), nn.ReLU(), nn.Conv1d(128, 128, 5, 2, 2), nn.ReLU())
        self.steps = nn.GRU(128, 128, batch_first=True)
        self.words = nn.Linear(128, 12)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.words(self.steps(self.layers(x).transpose(1, 2))[0][:, -1])
        return y


class Temporal(nn.Module):
    """A block of a temporal convolutional network (arXiv:1803.01271), dilated."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation), nn.ReLU()),
            *(nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation), nn.ReLU()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.layers(x))


def temporal() -> nn.Module:
    """A temporal convolutional network over 16 signals."""
    return nn.Sequential(nn.Conv1d(16, 64, 1), *(Temporal(64, 2**index) for index in range(5)), nn.Conv1d(64, 8, 1))


def vision_transformer() -> nn.Module:
    """A small vision transformer: 6 layers of width 128, 4 heads, patches of 16 pixels."""
    from transformers import ViTConfig, ViTForImageClassification

    from benchmarks.networks import Logits

    shape = ViTConfig(
        image_size=128,
        hidden_size=128,
        num_hidden_layers=6,
        num_attention_heads=4,
        intermediate_size=512,
        num_labels=100,
    )
    return Logits(ViTForImageClassification(shape))


class Branching(nn.Module):
    """A detector of voices that runs one of two networks by the loudness of what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.loud, self.quiet = self._branch(), self._branch()
        self.voice = head(64, 2)

    @staticmethod
    def _branch() -> nn.Module:
        """Without batch norms, which a branch must not update."""
        return nn.Sequential(
            *(nn.Conv2d(1, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU()),
            *(nn.Conv2d(64, 64, 3, 2, 1), nn.ReLU()),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.voice(torch.cond(x.abs().mean() > 0.5, self.loud, self.quiet, (x,)))
        return y


@dataclass(frozen=True, kw_only=True)
class Small:
    """A network and the shape of one sample."""

    title: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]

    def network(self) -> nn.Module:
        """The network in evaluation mode, the same every time."""
        torch.manual_seed(0)
        built = self.build()
        settle(built, [self.inputs(BATCH, seed) for seed in range(SETTLING)])
        return built.eval()

    def inputs(self, rows: int, seed: int) -> Tensor:
        """Normal values, the same for the same seed: float32 of shape (rows, *shape)."""
        return torch.randn(rows, *self.shape, generator=torch.Generator().manual_seed(seed))


def settle(network: nn.Module, batches: Sequence[Tensor]) -> None:
    """Give batch norms the statistics of some batches, and convolutions weights that keep the signal as it is."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Conv1d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None
    with torch.no_grad():
        for batch in batches:
            network.train()(batch)


SMALL: dict[str, Small] = {
    "mobilenet_v3": Small(title="MobileNetV3-Small", build=mobilenet_v3, shape=(3, 224, 224)),
    "shufflenet": Small(title="ShuffleNetV2", build=shufflenet, shape=(3, 224, 224)),
    "ghostnet": Small(title="GhostNet", build=ghostnet, shape=(3, 224, 224)),
    "efficientnet": Small(title="EfficientNet", build=efficientnet, shape=(3, 224, 224)),
    "unet": Small(title="U-Net", build=UNet, shape=(3, 128, 128)),
    "yolo": Small(title="C2f and DFL detector", build=Yolo, shape=(3, 256, 256)),
    "face": Small(title="PReLU face network", build=FaceNet, shape=(3, 160, 160)),
    "text": Small(title="text recognizer, LSTM", build=TextReader, shape=(1, 32, 128)),
    "keywords": Small(title="keyword spotter, GRU", build=Keywords, shape=(40, 100)),
    "temporal": Small(title="temporal convolutions", build=temporal, shape=(16, 512)),
    "vit": Small(title="small ViT", build=vision_transformer, shape=(3, 128, 128)),
    "branching": Small(title="voice detector with If", build=Branching, shape=(1, 64, 96)),
}
