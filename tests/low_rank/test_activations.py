"""Moments against those of the patches in one piece, which PyTorch's own convolution reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import nn

from edgecompress.data.batches import Batch
from edgecompress.low_rank import activations
from edgecompress.low_rank.activations import gather, rows
from edgecompress.low_rank.layers import find_layers
from edgecompress.progress import Progress
from tests.low_rank.drawn import convolutions, normal
from tests.low_rank.networks import Wide


@given(convolutions())
def test_a_row_times_the_weight_is_an_output(layer: nn.Conv2d) -> None:
    source = normal(2, layer.in_channels, 9, 8)
    matrix = torch.from_numpy(np.concatenate(list(rows(layer, source)))).float()
    products = matrix @ layer.weight.detach().flatten(1).T
    expected = layer(source).detach()
    if layer.bias is not None:
        expected = expected - layer.bias.detach()[:, None, None]
    torch.testing.assert_close(products, expected.permute(0, 2, 3, 1).flatten(0, 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(4, 3), (2, 5, 4)),
        (nn.Conv1d(4, 3, 1, stride=2, padding=1), (2, 4, 7)),
        (nn.Conv2d(4, 3, 1), (4, 2, 2)),
    ],
)
def test_other_layers(layer: nn.Linear | nn.Conv1d | nn.Conv2d, shape: tuple[int, ...]) -> None:
    source = normal(*shape)
    matrix = torch.from_numpy(np.concatenate(list(rows(layer, source)))).float()
    assert layer.bias is not None
    products = matrix @ layer.weight.detach().flatten(1).T + layer.bias.detach()
    outputs = layer(source).detach()
    axis = outputs.dim() - 1 if isinstance(layer, nn.Linear) else layer.weight.dim() - 2
    expected = outputs.movedim(-layer.weight.dim() + 1 if not isinstance(layer, nn.Linear) else axis, -1)
    torch.testing.assert_close(products, expected.reshape(-1, 3), rtol=1e-4, atol=1e-5)


def test_moments_add_up_over_batches_and_wide_layers_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "WIDEST", 64)
    model = Wide().train()
    source = normal(12, 64).numpy()
    batches = (Batch(inputs={"x": source[start : start + 5]}) for start in (0, 5, 10))
    found, refusals = gather(model, find_layers(model)[0], batches, Progress())
    assert list(found) == ["first"]
    np.testing.assert_allclose(found["first"].mean, source.mean(axis=0, dtype=float), atol=1e-7)
    np.testing.assert_allclose(found["first"].second, source.T.astype(float) @ source.astype(float) / 12, atol=1e-6)
    assert [refusal.name for refusal in refusals] == ["second", "head"]
    assert model.training
