"""PyTorch's older exporter, which traces: ``torch.onnx.export(dynamo=False)``."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecompress.system.quiet import quiet_torch
from tests.foreign.writing import Blank, Drawn, below, normal

SIDE, LENGTH, WORDS, WIDTH = 16, 6, 20, 8
FIRST, LAST = 9, 20
"""Opsets that it writes."""
STEPS = 10
"""The opset from which on a Slice has steps."""


class _Images(nn.Module):
    def __init__(self, parts: list[str], heads: int, step: int) -> None:
        super().__init__()
        self.step = step
        self.stem = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.parts = nn.ModuleList(_part(part) for part in parts)
        self.heads = nn.ModuleList(nn.Linear(WIDTH, 3 + number) for number in range(heads))

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.stem(image)
        for part in self.parts:
            x = part(x)
        pooled = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return [head(pooled) for head in self.heads] + [x[:, :: self.step].sigmoid()]


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.body(x)
        return functional.relu(x + changed)


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        rows, width = x.shape[:2]
        tokens = functional.max_pool2d(x, 4).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).chunk(3, dim=-1)
        mixed = torch.softmax(q @ k.transpose(1, 2) / width**0.5, dim=-1) @ v
        answer: Tensor = self.out(mixed).mean(1)
        return x + answer.reshape(rows, width, 1, 1)


def _part(kind: str) -> nn.Module:
    made: dict[str, Callable[[], nn.Module]] = {
        "residual": _Residual,
        "attention": _Attention,
        "depthwise": lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH),
        "hardswish": nn.Hardswish,
        "norm": lambda: nn.BatchNorm2d(WIDTH),
        "group norm": lambda: nn.GroupNorm(2, WIDTH),
        "gelu": nn.GELU,
        "prelu": lambda: nn.PReLU(WIDTH),
        "up": lambda: nn.Sequential(nn.MaxPool2d(2), nn.Upsample(scale_factor=2)),
        "deconvolution": lambda: nn.Sequential(nn.AvgPool2d(2), nn.ConvTranspose2d(WIDTH, WIDTH, 2, 2)),
        "reflect": lambda: nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(WIDTH, WIDTH, 3)),
    }
    return made[kind]()


class _Words(nn.Module):
    def __init__(self, recurrent: str) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.recurrent = getattr(nn, recurrent)(WIDTH, WIDTH, batch_first=True)
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        states = self.recurrent(self.embedding(tokens))[0]
        scores: Tensor = self.head(self.norm(states[:, -1] + states.mean(1)))
        return scores


PARTS = (
    *("residual", "attention", "depthwise", "hardswish", "norm", "group norm", "gelu", "prelu", "up", "reflect"),
    "deconvolution",
)


def drawn(rng: np.random.Generator, opset: int) -> Drawn:
    """A network of images or words, traced with dynamic axes or without, folded or not."""
    blank: Blank
    with torch.random.fork_rng():
        torch.manual_seed(int(rng.integers(2**31)))
        if rng.random() < 0.2:
            network: nn.Module = _Words(str(rng.choice(["GRU", "LSTM"])))
            name, blank = "tokens", below(WORDS, LENGTH)
        else:
            step = 1 if opset < STEPS else 2
            network = _Images(list(rng.choice(PARTS, rng.integers(2, 6))), int(rng.integers(1, 3)), step)
            name, blank = "image", normal(3, SIDE, SIDE)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
                nn.init.uniform_(module.running_var, 0.5, 2)
        fixed = rng.random() < 0.2
        example = torch.from_numpy(blank(rng, 1 if fixed else 2))
        content = _exported(network.eval(), example, name, opset, rng, fixed=fixed)
    return Drawn(model=onnx.load_from_string(content), inputs={name: blank}, rows=1 if fixed else None)


def _exported(
    network: nn.Module, example: Tensor, name: str, opset: int, rng: np.random.Generator, *, fixed: bool
) -> bytes:
    keeps, folds, buffer = bool(rng.random() < 0.2), bool(rng.random() < 0.7), io.BytesIO()
    with quiet_torch(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            input_names=[name],
            opset_version=min(max(opset, FIRST), LAST),
            dynamic_axes=None if fixed else {name: {0: str(rng.choice(["batch", "N"]))}},
            keep_initializers_as_inputs=keeps,
            do_constant_folding=folds,
        )
    return buffer.getvalue()
