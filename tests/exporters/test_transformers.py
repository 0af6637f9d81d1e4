"""Small encoders through the whole conversion: products become integer, masks and norms stay float."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
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
from edgecompress.step import Conversion
from edgecompress.techniques.context import Context

LENGTH, WIDTH, HEADS = 10, 32, 4


class Layer(nn.Module):
    """Attention and a feed-forward part, each with a residual sum behind a layer norm."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.feed = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        normed = self.first(x)
        q, k, v = (self._heads(part(normed)) for part in (self.query, self.key, self.value))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.feed(self.second(x))  # type: ignore[no-any-return]

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(-1, LENGTH, HEADS, WIDTH // HEADS).transpose(1, 2)


class Encoder(nn.Module):
    """Two layers and a classifier on the first position; no mask, as in ViT."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Layer(), Layer()])
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self._encode(x, None)

    def _encode(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for layer in self.layers:
            x = layer(x, mask)
        return self.head(x[:, 0])  # type: ignore[no-any-return]


class Masked(Encoder):
    """A mask of booleans, as in newer models: a row may be hidden as a whole."""

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:  # type: ignore[override]
        return self._encode(x, keep[:, None, None, :] > 0)


class Additive(Encoder):
    """A mask of huge negative numbers, as in BERT."""

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:  # type: ignore[override]
        return self._encode(x, (1.0 - keep[:, None, None, :].float()) * torch.finfo(torch.float32).min)


def _batches(kind: Callable[[], nn.Module], seed: int) -> list[tuple[Any, Any]]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(16, LENGTH, WIDTH, generator=generator)
    keep = (torch.arange(LENGTH)[None, :] < torch.randint(3, LENGTH + 1, (16, 1), generator=generator)).long()
    return [({"x": x} if kind is Encoder else {"x": x, "keep": keep}, None)]


@functools.cache
def _convert(kind: Callable[[], nn.Module]) -> Conversion:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = kind().eval()
    export = Export(simplify=kind is Encoder)  # the simplifier merges q, k and v; the others show the way without it
    recipe = Recipe(quantization=Quantization(enabled=True, scheme="fbgemm"), export=export)
    batches = open_batches(_batches(kind, 1), "calibration", network, recipe)
    return convert(network, Context(recipe=recipe, example=batches.first(), streams=Streams(calibration=batches)))


@pytest.mark.parametrize("kind", [Encoder, Masked, Additive])
def test_products_are_integer_and_the_answers_hold(kind: Callable[[], nn.Module]) -> None:
    conversion = _convert(kind)
    kernels = Counter(node.op_type for node in optimized_graph(conversion.artifact))
    products = sum(kernels[op] for op in ("MatMulIntegerToFloat", "QLinearMatMul", "QGemm"))
    assert kernels["MatMul"] + kernels["Gemm"] + kernels["FusedMatMul"] == 0
    # q, k, v (at once, where simplified); scores; mix; out; two of the feed-forward part; the head.
    assert products == 2 * (6 if kind is Encoder else 8) + 1
    assert kernels["QLinearAdd"] == 0
    assert kernels["Softmax"] == 2
    fresh = {name: tensor.numpy() for name, tensor in _batches(kind, 2)[0][0].items()}
    agreement = Agreement.between(execute(conversion.original, fresh), execute(conversion.artifact, fresh))
    assert agreement.sqnr_db > 25


def test_attention_without_a_mask_loses_its_guard_its_factor_and_its_zeros() -> None:
    conversion = _convert(Encoder)
    kernels = Counter(node.op_type for node in optimized_graph(conversion.artifact))
    assert kernels.keys().isdisjoint({"Where", "IsNaN", "Mul", "Expand"})
    # One for the input of q, k and v together, and one each for q, k, v, probabilities, out, and the feed-forward part.
    assert kernels["QuantizeLinear"] <= 2 * 7 + 1


@pytest.mark.parametrize("kind", [Masked, Additive])
def test_a_hidden_position_changes_nothing(kind: Callable[[], nn.Module]) -> None:
    artifact = _convert(kind).artifact
    inputs = {name: tensor.numpy().copy() for name, tensor in _batches(kind, 2)[0][0].items()}
    before = execute(artifact, inputs)[0]
    inputs["x"][inputs["keep"] == 0] += 1.0
    np.testing.assert_array_equal(execute(artifact, inputs)[0], before)
