"""Random networks, drawn from the parts that real ones are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from tests.pruning.zoo.entry import Entry, images
from tests.pruning.zoo.mobile import SqueezeExcite, conv_norm
from tests.pruning.zoo.sequence import Attention, GatedMLP

Draw = Callable[[st.SearchStrategy[Any]], Any]
Part = tuple[nn.Module, int]
"""A module and the channels that it returns."""

WIDTHS = st.sampled_from((4, 8, 12, 16))
ACTIVATIONS = st.sampled_from((nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.Sigmoid, nn.ELU))


class Function(nn.Module):
    """A function without weights, by its name in the printed network."""

    def __init__(self, function: Callable[[Tensor], Tensor], name: str) -> None:
        super().__init__()
        self.function, self.name = function, name

    def forward(self, x: Tensor) -> Any:
        return self.function(x)

    def extra_repr(self) -> str:
        return self.name


class Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Any:
        return self.body(x) + self.shortcut(x)


class PadChannels(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.before, self.after = before, after

    def forward(self, x: Tensor) -> Any:
        return functional.pad(x, (0, 0, 0, 0, self.before, self.after))


class Concatenate(nn.Module):
    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Any:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Halves(nn.Module):
    """One part of the channels goes through a branch; then they are joined again, and perhaps shuffled."""

    def __init__(self, branch: nn.Module, joins: str) -> None:
        super().__init__()
        self.branch, self.joins = branch, joins

    def forward(self, x: Tensor) -> Any:
        first, second = x.chunk(2, 1) if self.joins != "split" else x.split(x.shape[1] // 2, 1)  # type: ignore[no-untyped-call]
        second = self.branch(second)
        if self.joins == "product":
            return first * second
        return torch.cat([first, second], 1)


class Shuffle(nn.Module):
    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Any:
        rows, channels, height, width = x.shape
        x = x.view(rows, self.groups, channels // self.groups, height, width)
        return x.transpose(1, 2).reshape(rows, channels, height, width)


class ChannelsLast(nn.Module):
    """A part that works on sequences, between two changes of the layout."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Any:
        rows, _, height, width = x.shape
        y = x.flatten(2).transpose(1, 2)
        for part in self.parts:
            y = y + part(y)
        return y.transpose(1, 2).reshape(rows, -1, height, width)


class WrittenRMSNorm(nn.Module):
    """The normalization as a language model's own code writes it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), 1e-3

    def forward(self, x: Tensor) -> Any:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


class WrittenLayerNorm(nn.LayerNorm):
    def forward(self, x: Tensor) -> Any:
        centred = x - x.mean(-1, keepdim=True)
        return centred / torch.sqrt(centred.square().mean(-1, keepdim=True) + self.eps) * self.weight + self.bias


class WithConstant(nn.Module):
    """A convolution that reads its input next to a constant of the same size, as a recurrent one does at its start."""

    def __init__(self, width: int, outputs: int, kind: str) -> None:
        super().__init__()
        self.width, self.kind = width, kind
        self.convolution = nn.Conv2d(2 * width, outputs, 1)

    def forward(self, x: Tensor) -> Any:
        rows, _, *places = x.shape
        constant = {
            "zeros_like": lambda: torch.zeros_like(x),
            "full_like": lambda: torch.full_like(x, 0.5),
            "new_zeros": lambda: x.new_zeros(x.shape),
            "zeros of a shape": lambda: torch.zeros(x.shape),
            "ones of a shape": lambda: torch.ones(x.shape),
            "zeros of an attribute": lambda: torch.zeros(rows, self.width, *places),
        }[self.kind]()
        return self.convolution(torch.cat([x, constant], 1)).tanh()


class Rows(nn.Module):
    """Rows that are picked by a score: the best, however many are equal."""

    def __init__(self, width: int, kind: str) -> None:
        super().__init__()
        self.score, self.kind = nn.Linear(width, 1), kind

    def forward(self, x: Tensor) -> Any:
        scores = self.score(x)[:, 0] if self.kind.endswith("layer") else x.sum(1)
        best = scores >= scores.max()
        return x[best] if self.kind.startswith("mask") else x[best.nonzero()[:, 0]]


def _convolution(draw: Draw, width: int) -> Part:
    outputs, kernel = draw(WIDTHS), draw(st.sampled_from((1, 3)))
    return nn.Conv2d(width, outputs, kernel, padding=kernel // 2, bias=draw(st.booleans())), outputs


def _grouped(draw: Draw, width: int) -> Part:
    outputs, groups = draw(WIDTHS), draw(st.sampled_from((2, 4)))
    return conv_norm(width, outputs, 3, groups=groups), outputs


def _depthwise(draw: Draw, width: int) -> Part:
    outputs = width * draw(st.sampled_from((1, 1, 2)))
    return (nn.Conv2d(width, outputs, 3, padding=1, groups=width), outputs) if outputs <= 16 else (nn.Identity(), width)


def _norm(draw: Draw, width: int) -> Part:
    kinds = (
        lambda: nn.BatchNorm2d(width),
        lambda: nn.GroupNorm(draw(st.sampled_from((1, 2, 4))), width),
        lambda: nn.GroupNorm(width, width),
        lambda: nn.InstanceNorm2d(width, affine=True),
    )
    return draw(st.sampled_from(kinds))(), width


def _activation(draw: Draw, width: int) -> Part:
    return (nn.PReLU(width) if draw(st.integers(0, 5)) == 0 else draw(ACTIVATIONS)()), width


def _residual(draw: Draw, width: int) -> Part:
    kind = draw(st.sampled_from(("identity", "projected", "padded")))
    before, after = (draw(st.sampled_from((0, 2, 4))) for _ in range(2)) if kind == "padded" else (0, 0)
    outputs = draw(WIDTHS) if kind == "projected" else width + before + after
    shortcut = {
        "identity": nn.Identity(),
        "projected": conv_norm(width, outputs),
        "padded": PadChannels(before, after) if before + after else nn.Identity(),
    }[kind]
    inner = draw(WIDTHS)
    body = nn.Sequential(conv_norm(width, inner, 3), draw(ACTIVATIONS)(), conv_norm(inner, outputs))
    return Residual(body, shortcut), outputs


def _squeeze(draw: Draw, width: int) -> Part:
    return SqueezeExcite(width, 4, draw(st.sampled_from((nn.Sigmoid, nn.Hardsigmoid)))()), width


def _branches(draw: Draw, width: int) -> Part:
    parts = [_convolution(draw, width) for _ in range(draw(st.integers(1, 2)))]
    if draw(st.booleans()):
        parts.append((nn.Identity(), width))
    return Concatenate(*(part for part, _ in parts)), sum(outputs for _, outputs in parts)


def _halves(draw: Draw, width: int) -> Part:
    joins = draw(st.sampled_from(("chunk", "split", "product")))
    half = width // 2
    branch = (
        conv_norm(half, half) if draw(st.booleans()) else nn.Sequential(nn.Conv2d(half, half, 3, padding=1), nn.SiLU())
    )
    return Halves(branch, joins), half if joins == "product" else width


def _shuffle(draw: Draw, width: int) -> Part:
    groups = draw(st.sampled_from((2, 4)))
    return (nn.ChannelShuffle(groups) if draw(st.booleans()) else Shuffle(groups)), width


def _pool(draw: Draw, width: int) -> Part:
    kinds = (nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1), nn.Sequential(nn.MaxPool2d(2), nn.Upsample(scale_factor=2)))
    return draw(st.sampled_from(kinds)), width


def _upsample(draw: Draw, width: int) -> Part:
    down = nn.Conv2d(width, 8, 3, 2, 1)
    if draw(st.booleans()):
        return nn.Sequential(down, nn.ConvTranspose2d(8, 4, 2, 2, groups=draw(st.sampled_from((1, 2))))), 4
    if draw(st.booleans()):
        return nn.Sequential(down, nn.Conv2d(8, 16, 1), nn.PixelShuffle(2)), 4
    return nn.Sequential(down, nn.Upsample(scale_factor=2, mode="bilinear")), 8


def _transformer(draw: Draw, width: int) -> Part:
    norm = draw(st.sampled_from((nn.LayerNorm, nn.RMSNorm, WrittenLayerNorm, WrittenRMSNorm)))
    shared = draw(st.sampled_from((1, 2, 4)))
    attention = Attention(width, 4, shared, draw(st.sampled_from((2, 3))), expands=draw(st.booleans()))
    hidden = draw(st.sampled_from((6, 10)))
    plain = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
    mlp = GatedMLP(width, hidden) if draw(st.booleans()) else plain
    return ChannelsLast(nn.Sequential(norm(width), attention), nn.Sequential(norm(width), mlp)), width


def _scale(draw: Draw, width: int) -> Part:
    functions: tuple[tuple[Callable[[Tensor], Tensor], str], ...] = (
        (lambda x: x * x.norm(dim=1, keepdim=True).clamp_min(0.1).reciprocal(), "x / |x|"),
        (lambda x: functional.glu(torch.cat([x, x], 1), 1), "glu"),
        (lambda x: torch.einsum("nchw->nhwc", x).permute(0, 3, 1, 2), "einsum"),
        (lambda x: x * x.sigmoid().mean((2, 3), keepdim=True), "gate"),
        (lambda x: x + x.mean((1, 2, 3), keepdim=True), "shift by the mean, which keeps the channels"),
        (lambda x: torch.stack([x, x.tanh()]).sum(0), "stack"),
        (lambda x: x.flip(1), "flip"),
        (lambda x: torch.softmax(x, 1) * x, "softmax over channels, which keeps them"),
    )
    return Function(*draw(st.sampled_from(functions))), width


def _constant(draw: Draw, width: int) -> Part:
    kinds = (
        "zeros_like",
        "full_like",
        "new_zeros",
        "zeros of a shape",
        "ones of a shape",
        "zeros of an attribute",
    )
    outputs = draw(WIDTHS)
    return WithConstant(width, outputs, draw(st.sampled_from(kinds))), outputs


def _handed_on(draw: Draw, width: int) -> Part:
    functions: tuple[tuple[Callable[[Tensor], Tensor], str], ...] = (
        (lambda x: x[:, : x.shape[1], : x.shape[2]], "crop"),
        (lambda x: x[..., : x.shape[3]], "crop of the last axis"),
        (lambda x: x.narrow(1, 0, x.shape[1]), "narrow"),
        (lambda x: x[:, torch.arange(x.shape[1])], "index of all"),
        (lambda x: x.index_select(1, torch.arange(x.shape[1])), "selection of all"),
        (lambda x: x[:, :, torch.arange(x.shape[2] - 1, -1, -1)], "index of places"),
        (lambda x: x.broadcast_to(x.shape).expand(x.shape), "expand"),
        (lambda x: x.to(x.dtype).contiguous().detach(), "copies"),
        (lambda x: torch.hsplit(torch.slice_copy(x, 1), 1)[0], "parts"),
        (lambda x: torch.multiply(torch.subtract(x, 0.5), 2), "second names"),
    )
    return Function(*draw(st.sampled_from(functions))), width


PARTS: tuple[Callable[[Draw, int], Part], ...] = (
    _convolution,
    _grouped,
    _depthwise,
    _norm,
    _activation,
    _residual,
    _squeeze,
    _branches,
    _halves,
    _shuffle,
    _pool,
    _upsample,
    _transformer,
    _scale,
)
PRUNED_PARTS = (*PARTS, _constant, _handed_on)
"""With those that only pruning has to look at."""


class RandomNetwork(nn.Module):
    """A classifier, of all rows or of picked ones, which in training may have a second head behind its first part."""

    def __init__(
        self, parts: list[nn.Module], width: int, head: str, rows: str = "", auxiliary: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.parts, self.head, self.auxiliary = nn.Sequential(*parts), head, auxiliary
        width *= 16 if head == "flatten" else 1
        self.rows = Rows(width, rows) if rows else nn.Identity()
        self.classifier = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Any:
        first = self.parts[0](x)
        x = self.parts[1:](first)
        x = functional.adaptive_avg_pool2d(x, 2).flatten(1).repeat(1, 4) if self.head == "flatten" else x.mean((2, 3))
        x = self.classifier(self.rows(x))
        return (x, self.auxiliary(first)) if self.auxiliary is not None and self.training else x


def _auxiliary(draw: Draw, width: int) -> nn.Module | None:
    kinds: tuple[Callable[[], nn.Module | None], ...] = (
        lambda: None,
        lambda: nn.Sequential(nn.BatchNorm2d(width), nn.Conv2d(width, 5, 1)),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(width * 64, 5)),
        lambda: nn.Sequential(nn.Conv2d(width, width, 3, groups=width), nn.ReLU(), nn.ConvTranspose2d(width, 5, 2)),
    )
    make: Callable[[], nn.Module | None] = draw(st.sampled_from(kinds))
    return make()


@st.composite
def networks(draw: st.DrawFn) -> Entry:
    """A network that classifies images of 8 by 8, as an entry of the zoo without expectations."""
    width = draw(WIDTHS)
    parts: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1)]
    auxiliary = _auxiliary(draw, width)
    for make in draw(st.lists(st.sampled_from(PRUNED_PARTS), min_size=1, max_size=6)):
        part, width = make(draw, width)
        parts.append(part)
        if width > 16 or width % 4:
            parts.append(conv_norm(width, 8))
            width = 8
    rows = draw(st.sampled_from(("", "", "mask", "mask by a layer", "nonzero", "nonzero by a layer")))
    network = RandomNetwork(parts, width, draw(st.sampled_from(("flatten", "mean"))), rows, auxiliary)
    return Entry(build=lambda: network, draw=images(2, 3, 8, 8), groups={}, whole=())
