"""Batch-norm statistics are the averages over the batches, and nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgecompress.errors import DataError, ModelError
from edgecompress.progress import Progress
from edgecompress.training import reestimate_batch_norm
from tests.networks import ConvNet, images, seeded
from tests.training.batches import batches


class Network(nn.Module):
    """Dropout between two norms."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.first, self.second = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.5)

    def forward(self, image: Tensor) -> Tensor:
        return self.second(self.dropout(self.first(self.conv(image))))  # type: ignore[no-any-return]


def test_the_closed_form_in_float64() -> None:
    network, data = Network(), images(rows=6, batches=3)
    found: Any = reestimate_batch_norm(network, batches(data), Progress()).get_submodule("first")
    with torch.no_grad():
        outputs = [network.conv(image).double().numpy() for image, _ in data]
    means = np.mean([output.mean((0, 2, 3)) for output in outputs], axis=0)
    variances = np.mean([output.var((0, 2, 3), ddof=1) for output in outputs], axis=0)
    np.testing.assert_allclose(found.running_mean, means, atol=1e-6)
    np.testing.assert_allclose(found.running_var, variances, rtol=1e-5)
    assert found.num_batches_tracked == 3
    assert found.momentum == 0.1


def test_dropout_stays_off_and_weights_stay() -> None:
    network = Network()
    found: Any = reestimate_batch_norm(network, batches(images()), Progress())
    assert not any(part.training for part in found.modules())
    # The second norm sees the first one's outputs, without dropout: mean 0 and variance 1.
    np.testing.assert_allclose(found.second.running_mean, 0, atol=1e-5)
    np.testing.assert_allclose(found.second.running_var, 1, rtol=2e-3)
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, found.get_parameter(name))


def test_the_model_that_was_given_is_not_modified() -> None:
    network = seeded(ConvNet)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert reestimate_batch_norm(network, batches(images()), Progress()) is not network
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_network_without_batch_norm_is_not_run() -> None:
    assert isinstance(reestimate_batch_norm(nn.Linear(2, 2), [], Progress()), nn.Linear)


def test_no_batches_and_batches_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="yields no batches"):
        reestimate_batch_norm(seeded(ConvNet), [], Progress())
    with pytest.raises(ModelError, match="batch 0: the network fails: RuntimeError"):
        reestimate_batch_norm(seeded(ConvNet), batches([torch.zeros(2, 5, 4, 4)]), Progress())
