"""Random networks of every sort that the whole road takes, their data, and random recipes for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from edgecompress.recipe.tables import Export, LowRank, Pruning, Quantization, Recipe, Training
from tests.pruning.channels.random_networks import PARTS, WIDTHS, Draw, Part, RandomNetwork
from tests.pruning.zoo.entry import randomize
from tests.pruning.zoo.mobile import conv_norm
from tests.pruning.zoo.sequence import Attention, GatedMLP

SIDE, LENGTH, VOCABULARY, CLASSES = 8, 6, 20, 5
WIDEST = 16
"""Channels above which a part is followed by a narrower one: these networks are to be quick."""
PLAIN = st.sampled_from((nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.Sigmoid, nn.GELU, nn.Tanh, nn.LeakyReLU, nn.Mish))
Batch = dict[str, Tensor]
Blank = Callable[[int], Batch]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network in evaluation mode, what its inputs look like, and what is asked for.

    ``dynamic`` is for the front end that quantizes without data, after the recipe's road.
    """

    network: nn.Module
    blank: Blank
    data: str
    recipe: Recipe
    dynamic: bool

    def batch(self, rows: int, seed: int) -> Batch:
        """Inputs of their own for each seed."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            drawn = self.blank(rows)
        return {name: DATA[self.data](value) if value.is_floating_point() else value for name, value in drawn.items()}

    def __repr__(self) -> str:
        settings = self.recipe.model_dump(exclude_defaults=True)
        return f"{self.network}\ndata: {self.data}, dynamic: {self.dynamic}, recipe: {settings}"


DATA: dict[str, Callable[[Tensor], Tensor]] = {
    "normal": lambda x: x,
    "positive": lambda x: x.abs() + 1,
    "uneven": lambda x: x * torch.logspace(-2, 2, x.shape[1])[:, *[None] * (x.ndim - 2)],
    "sparse": lambda x: x * (x > 2),
    "zero": lambda x: torch.zeros_like(x),
    "constant": lambda x: torch.full_like(x, 0.3),
    "large": lambda x: x * 1e4,
    "tiny": lambda x: x * 1e-6,
    "rounded": lambda x: x.round(),
}


class Features(nn.Module):
    """Several outputs of one network of images, in a dict."""

    def __init__(self, body: RandomNetwork) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Any:
        features = self.body.parts(x)
        pooled = features.mean((2, 3))
        return {"logits": functional.linear(pooled, self.body.classifier.weight[:, : pooled.shape[1]]), "map": features}


class Side(nn.Module):
    """Images, and some numbers with them."""

    def __init__(self, body: RandomNetwork, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x: Tensor, side: Tensor) -> Any:
        return self.head(torch.cat([functional.relu(self.body(x)), side], 1))


class Sequence(nn.Module):
    """A part over a sequence of tokens or of vectors, and a linear head on its mean, its end, or each of its places."""

    def __init__(self, entry: nn.Module, parts: nn.Sequential, head: str, width: int) -> None:
        super().__init__()
        self.entry, self.parts, self.kind = entry, parts, head
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = self.parts(self.entry(x))
        if self.kind != "each":
            x = x.mean(1) if self.kind == "mean" else x[:, -1]
        return self.head(x)


class Recurrent(nn.Module):
    """The outputs of a recurrent layer, without its states."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Any:
        return self.layer(x)[0]


class Around(nn.Module):
    """A sum of a sequence and of what a part makes of it."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Any:
        return x + self.part(x)


def _any_convolution(draw: Draw, width: int) -> Part:
    outputs = draw(WIDTHS)
    kernel, dilation = (draw(st.tuples(st.integers(1, 3), st.integers(1, 2))) for _ in range(2))
    groups = draw(st.sampled_from([g for g in (1, 1, 2, 4, width) if width % g == 0 and outputs % g == 0]))
    padding: Any = draw(st.sampled_from(("same", (1, 1), (2, 0))))
    return nn.Sequential(
        nn.Conv2d(
            width,
            outputs,
            kernel,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=draw(st.booleans()),
            padding_mode=draw(st.sampled_from(("zeros", "zeros", "reflect", "replicate", "circular"))),
        ),
        nn.AdaptiveAvgPool2d(SIDE) if draw(st.booleans()) else nn.Upsample((SIDE, SIDE)),
        draw(PLAIN)(),
    ), outputs


def _strided(draw: Draw, width: int) -> Part:
    """Down by two, and up again by any of the ways there are."""
    down = (
        lambda: nn.Conv2d(width, width, draw(st.sampled_from((1, 2, 3))), 2, draw(st.integers(0, 1))),
        lambda: nn.MaxPool2d(3, 2, 1),
        lambda: nn.MaxPool2d(2, 2, ceil_mode=True),
        lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=draw(st.booleans())),
        lambda: nn.PixelUnshuffle(2) if width <= 4 else nn.AvgPool2d(2),
    )
    chosen = draw(st.sampled_from(down))()
    inner = width * 4 if isinstance(chosen, nn.PixelUnshuffle) else width
    up = (
        lambda: nn.ConvTranspose2d(inner, 4, 2, 2),
        lambda: nn.ConvTranspose2d(inner, 8, 3, 2, 1, 1, bias=draw(st.booleans())),
        lambda: nn.ConvTranspose2d(inner, 4, 4, 2, 1, groups=draw(st.sampled_from((1, 2)))),
        lambda: nn.Upsample((SIDE, SIDE), mode=draw(st.sampled_from(("nearest", "bilinear")))),
    )
    widened = draw(st.sampled_from(up))()
    outputs = widened.out_channels if isinstance(widened, nn.ConvTranspose2d) else inner
    return nn.Sequential(chosen, draw(PLAIN)(), widened), outputs


def _fixed(draw: Draw, width: int) -> Part:
    """Arithmetic with constants, which other networks learn."""
    function = draw(st.sampled_from((Affine, Clamp, PadAndCrop)))
    return function(width), width


class Affine(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale, self.shift = (nn.Parameter(torch.randn(width, 1, 1)) for _ in range(2))

    def forward(self, x: Tensor) -> Any:
        return (x - self.shift) / (self.scale.abs() + 0.5) * 2


class Clamp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Any:
        return torch.maximum(x.clamp(-0.5, 2), x * 0.1).abs()


class PadAndCrop(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Any:
        return functional.pad(x, (2, 1, 0, 1), value=0.5)[:, :, 1:, 2:-1].contiguous()


IMAGE_PARTS = (*PARTS, _any_convolution, _any_convolution, _strided, _fixed)


@st.composite
def image_networks(draw: st.DrawFn) -> tuple[nn.Module, Blank]:
    """One or two inputs, one or two outputs, images of 8 by 8."""
    width = draw(WIDTHS)
    parts: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1)]
    for make in draw(st.lists(st.sampled_from(IMAGE_PARTS), min_size=1, max_size=5)):
        part, width = make(draw, width)
        parts.append(part)
        if width > WIDEST or width % 4:
            parts.append(conv_norm(width, 8))
            width = 8
    body = RandomNetwork(parts, width, draw(st.sampled_from(("flatten", "mean"))))
    form = draw(st.sampled_from(("plain", "plain", "features", "side")))
    if form == "features":
        return Features(body), lambda rows: {"x": torch.randn(rows, 3, SIDE, SIDE)}
    if form == "side":
        side = Side(body, nn.Sequential(nn.Linear(CLASSES + 3, 12), draw(PLAIN)(), nn.Linear(12, 4)))
        return side, lambda rows: {"x": torch.randn(rows, 3, SIDE, SIDE), "side": torch.randn(rows, 3)}
    return body, lambda rows: {"x": torch.randn(rows, 3, SIDE, SIDE)}


def _encoder(draw: Draw, width: int) -> nn.Module:
    activation = draw(st.sampled_from(("relu", "gelu")))
    return nn.TransformerEncoderLayer(
        width, 2, 12, activation=activation, batch_first=True, norm_first=draw(st.booleans())
    )


def _attention(draw: Draw, width: int) -> nn.Module:
    norm = draw(st.sampled_from((nn.LayerNorm, nn.RMSNorm)))
    attention = Attention(width, 4, draw(st.sampled_from((1, 2, 4))), 2, expands=draw(st.booleans()))
    return nn.Sequential(
        Around(nn.Sequential(norm(width), attention)), Around(nn.Sequential(norm(width), GatedMLP(width, 6)))
    )


def _recurrent(draw: Draw, width: int) -> nn.Module:
    kind, both = draw(st.sampled_from((nn.LSTM, nn.LSTM, nn.GRU, nn.RNN))), draw(st.booleans())
    hidden, layers = width // 2 if both else width, draw(st.integers(1, 2))
    return Recurrent(kind(width, hidden, layers, batch_first=True, bidirectional=both, bias=draw(st.booleans())))


def _mlp(draw: Draw, width: int) -> nn.Module:
    hidden = draw(st.sampled_from((4, 16, 24)))
    return nn.Sequential(
        nn.Linear(width, hidden, bias=draw(st.booleans())), draw(PLAIN)(), nn.Dropout(0.5), nn.Linear(hidden, width)
    )


class Transposed(nn.Module):
    """A convolution over the length of a sequence."""

    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Any:
        return self.convolution(x.transpose(1, 2)).transpose(1, 2)


def _convolution_1d(draw: Draw, width: int) -> nn.Module:
    groups, dilation = draw(st.sampled_from((1, 2, width))), draw(st.integers(1, 2))
    layers = [nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation, groups=groups)]
    return Transposed(nn.Sequential(*layers, nn.BatchNorm1d(width), draw(PLAIN)()))


SEQUENCE_PARTS = (_encoder, _attention, _recurrent, _mlp, _convolution_1d)


@st.composite
def sequence_networks(draw: st.DrawFn) -> tuple[nn.Module, Blank]:
    """Tokens (int64) or vectors over a length of 6."""
    width, tokens = draw(st.sampled_from((8, 16))), draw(st.booleans())
    makers = draw(st.lists(st.sampled_from(SEQUENCE_PARTS), min_size=1, max_size=2))
    parts = nn.Sequential(*(make(draw, width) for make in makers))
    entry = nn.Embedding(VOCABULARY, width) if tokens else nn.Linear(3, width)
    network = Sequence(entry, parts, draw(st.sampled_from(("mean", "last", "each"))), width)
    if tokens:
        return network, lambda rows: {"x": torch.randint(0, VOCABULARY, (rows, LENGTH))}
    return network, lambda rows: {"x": torch.randn(rows, LENGTH, 3)}


@st.composite
def vector_networks(draw: st.DrawFn) -> tuple[nn.Module, Blank]:
    """Linear layers alone."""
    width = draw(st.sampled_from((1, 7, 32)))
    layers: list[nn.Module] = []
    inner = width
    for outputs in draw(st.lists(st.sampled_from((1, 8, 24)), min_size=1, max_size=4)):
        layers += [nn.Linear(inner, outputs, bias=draw(st.booleans())), draw(PLAIN)()]
        if draw(st.booleans()):
            layers.append(nn.BatchNorm1d(outputs))
        inner = outputs
    return nn.Sequential(*layers[: len(layers) - draw(st.integers(0, 1))]), lambda rows: {
        "input": torch.randn(rows, width)
    }


@torch.no_grad()
def _dead(network: nn.Module) -> None:
    """The first half of every layer's outputs is always its bias."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.weight[: (len(part.weight) + 1) // 2] = 0


@torch.no_grad()
def _uneven(network: nn.Module) -> None:
    """Outputs of every layer differ a thousandfold."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.weight *= torch.logspace(-3, 0, len(part.weight)).view(-1, *[1] * (part.weight.ndim - 1))


@torch.no_grad()
def _nothing(network: nn.Module) -> None:
    """One layer says nothing."""
    layers = [part for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    layers[len(layers) // 2].weight.zero_()


@torch.no_grad()
def _same(network: nn.Module) -> None:
    """All weights of a layer are one number."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.weight.fill_(0.25)


WEIGHTS: dict[str, Callable[[nn.Module], None]] = {
    "random": lambda network: None,
    "dead": _dead,
    "uneven": _uneven,
    "nothing": _nothing,
    "same": _same,
}


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Techniques that change the network without training, INT8 in all of its ways, or nothing of it."""
    few, half = st.integers(0, 4).map(lambda n: n == 4), st.booleans()
    return Recipe(
        pruning=Pruning(
            enabled=draw(few),
            amount=draw(st.sampled_from((0.25, 0.5))),
            multiple=draw(st.sampled_from((1, 2, 4))),
            importance=draw(st.sampled_from(("l1", "l2", "bn_scale", "random"))),
            spread=draw(st.sampled_from(("uniform", "global"))),
            goal=draw(st.sampled_from(("channels", "macs", "parameters"))),
            method=draw(st.sampled_from(("both", "filter", "channel"))),
        ),
        low_rank=LowRank(
            enabled=draw(few),
            goal=draw(st.sampled_from(("macs", "parameters", "energy", "ratio"))),
            amount=draw(st.sampled_from((0.1, 0.3))),
            multiple=draw(st.sampled_from((1, 2))),
            whitening=draw(half),
        ),
        training=Training(epochs=0),
        quantization=Quantization(
            enabled=not draw(few),
            scheme=draw(st.sampled_from(("fbgemm", "qnnpack"))),
            granularity=draw(st.sampled_from(("per_channel", "per_tensor"))),
            observer=draw(st.sampled_from(("min_max", "moving_average", "percentile", "entropy", "mse", "histogram"))),
            narrow=draw(st.sampled_from(("activations", "weights", "auto"))),
            equalization=draw(half),
            adaround=draw(few),
            bias_correction=draw(half),
        ),
        export=Export(
            simplify=draw(st.integers(0, 9)) == 9,
            opset=draw(st.sampled_from((18, 20, 20, 21))),
            batch_size=draw(st.sampled_from((None, None, None, 1, 3))),
        ),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A network with weights, data and a recipe."""
    kinds = (image_networks(), image_networks(), image_networks(), sequence_networks(), vector_networks())
    network, blank = draw(st.sampled_from(kinds).flatmap(lambda kind: kind))
    with torch.random.fork_rng():
        torch.manual_seed(draw(st.integers(0, 2**16)))
        network = randomize(network).eval()
    WEIGHTS[draw(st.sampled_from(("random", "random", "random", *WEIGHTS)))](network)
    return Case(
        network=network,
        blank=blank,
        data=draw(st.sampled_from(("normal", "normal", "normal", *DATA))),
        recipe=draw(recipes()),
        dynamic=draw(st.integers(0, 4)) == 4,
    )
