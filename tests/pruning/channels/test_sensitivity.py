"""Sensitivity, on networks whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgecompress.data.batches import Batch
from edgecompress.errors import ModelError
from edgecompress.progress import Progress
from edgecompress.pruning.channels.sensitivity import measured_damage, output_noise
from edgecompress.pruning.channels.structured import examine


def test_damage_is_the_noise_in_the_outputs_relative_to_their_signal() -> None:
    """Hidden unit i adds i to the output: what is missing without the smallest ones can be worked out."""
    module = nn.Sequential(nn.Linear(1, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        for layer, values in ((module[0], [[1.0], [1.0], [1.0], [1.0]]), (module[2], [[1.0, 2.0, 3.0, 4.0]] * 2)):
            layer.weight.copy_(torch.tensor(values))  # type: ignore[operator]
    wrapped = _Named(module)
    subject = examine(wrapped, (torch.ones(1, 1),))
    (group,) = subject.groups
    scores = {unit: float(index) for index, unit in enumerate(group.units)}
    batches = [Batch(inputs={"x": torch.rand(8, 1).add(0.5).numpy()}) for _ in range(2)]
    damage = measured_damage(subject, [group], scores, 1, batches, Progress())
    assert damage(group, 4) == 0
    assert damage(group, 3) == pytest.approx((1 / 10) ** 2)
    assert damage(group, 2) == pytest.approx((3 / 10) ** 2)
    assert damage(group, 1) == pytest.approx((6 / 10) ** 2)


class _Named(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.module(x)
        return result


def test_outputs_of_other_sizes_are_not_compared() -> None:
    positive = _Named(_Positive())
    batch = Batch(inputs={"x": np.array([[1.0], [-1.0], [2.0]], np.float32)})
    assert output_noise(positive, [batch], [[np.array([[1.0], [2.0]], np.float32)]]) == 0
    with pytest.raises(ModelError) as caught:
        output_noise(positive, [batch], [[np.array([[1.0]], np.float32)]])
    assert str(caught.value) == (
        "the size of an output depends on values that pruning changes, so that its loss cannot be measured;"
        " return all rows, or choose a 'pruning.spread' other than sensitivity"
    )


class _Positive(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[x[:, 0] > 0]
