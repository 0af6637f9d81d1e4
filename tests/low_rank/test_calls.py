"""Layers that a network does not merely call are found by running it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgecompress import ModelError
from edgecompress.low_rank.calls import UNCALLED, observe
from edgecompress.low_rank.form import LayerCall
from edgecompress.low_rank.layers import find_layers
from tests.low_rank.drawn import normal
from tests.low_rank.networks import ReadsWeights, Wide


def test_calls_have_their_shapes() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.Flatten(), nn.Linear(36, 5))
    observed = observe(model, find_layers(model)[0], normal(2, 3, 7, 7))
    assert not observed.refusals
    assert observed.calls == {
        "0": (LayerCall(source=(2, 3, 7, 7), result=(2, 4, 3, 3)),),
        "2": (LayerCall(source=(2, 36), result=(2, 5)),),
    }


def test_code_that_reads_weights_or_types_is_found() -> None:
    model = ReadsWeights().train()
    observed = observe(model, find_layers(model)[0], normal(2, 8))
    reasons = {refusal.name: refusal.reason for refusal in observed.refusals}
    assert list(observed.calls) == ["called", "head"]
    assert reasons["unused"].endswith("has no attribute 'weight'") or reasons["unused"] == UNCALLED
    assert reasons["read"].endswith("'Sequential' object has no attribute 'weight'")
    assert reasons["asked"].endswith("its outputs differ")
    assert model.training


def test_a_layer_that_is_called_twice_has_two_calls() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(self.layer(x))  # type: ignore[no-any-return]

    model = Twice()
    assert len(observe(model, find_layers(model)[0], normal(2, 4)).calls["layer"]) == 2


def test_a_model_that_does_not_run_says_so() -> None:
    model = Wide()
    with pytest.raises(ModelError, match="does not run on example_inputs"):
        observe(model, find_layers(model)[0], normal(2, 5))
