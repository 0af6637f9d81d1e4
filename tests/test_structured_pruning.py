"""ModelPruner.structured_pruning: channels leave a copy of the user's model, or nothing is changed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgecompress import ModelError, ModelPruner, RecipeError


class Masked(nn.Module):
    """Two convolutions with a batch norm and dropout between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.dropout, self.second = nn.Dropout(0.5), nn.Conv2d(8, 4, 1)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.second(self.dropout(torch.relu(self.norm(self.first(x))))).mean((2, 3)))
        return scores


def test_channels_leave_a_copy_of_the_users_own_class() -> None:
    model, x = Masked().eval(), torch.randn(2, 3, 8, 8)
    pruner = ModelPruner(model, x)
    result = pruner.structured_pruning("filter", 0.5)
    assert result.changes == ("first: 8 -> 4 channels", "second: 4 -> 2 channels")
    assert isinstance(pruner.model, Masked)
    assert pruner.model(x).shape == (2, 5)
    assert model.first.out_channels == 8
    assert pruner.stats()["current_params"] == sum(parameter.numel() for parameter in pruner.model.parameters())


def test_modes_and_statistics_of_a_model_in_training_are_left_as_they_are() -> None:
    model = Masked().train()
    model.second.eval()
    pruner = ModelPruner(model, torch.randn(2, 3, 8, 8))
    pruner.structured_pruning("filter", 0.5, protect=["first"])
    assert not pruner.model.get_submodule("second").training
    assert pruner.model.get_submodule("norm").training
    assert torch.equal(pruner.model.get_buffer("norm.running_mean"), torch.zeros(8))


def test_masked_weights_can_lose_channels_and_layers_keep_their_names() -> None:
    pruner = ModelPruner(Masked().eval(), torch.randn(2, 3, 8, 8))
    pruner.magnitude_pruning(0.5)
    assert pruner.structured_pruning("filter", 0.5, protect=["first"]).changes == ("second: 4 -> 2 channels",)
    assert pruner.structured_pruning("filter", 0.5).changes == ("first: 8 -> 4 channels", "second: 2 -> 1 channel")
    assert pruner.get_sparsity() > 0


def test_the_channels_whose_masked_weights_are_zero_go_first() -> None:
    model = Masked().eval()
    pruner = ModelPruner(model, torch.randn(2, 3, 8, 8))
    pruner.magnitude_pruning(0.0)
    mask = pruner.model.get_buffer("first.parametrizations.weight.0.keep")
    mask[[1, 4]] = False
    pruner.structured_pruning("filter", 0.25, protect=["second"])
    kept = pruner.model.get_submodule("first").weight
    assert isinstance(kept, Tensor)
    assert torch.equal(kept, model.first.weight[[0, 2, 3, 5, 6, 7]])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"amount": 1.0}, "'amount'"),
        ({"amount": -0.1}, "'amount'"),
        ({"method": "row"}, "'method'"),
        ({"multiple": 0}, "'multiple'"),
        ({"protect": ["third"]}, "'protect' names 'third', which the model does not have"),
        ({"protect": ["*"]}, "'protect' leaves nothing that can be pruned"),
        ({"amount": 0.99, "goal": "macs"}, "cannot be met: at most"),
    ],
)
def test_a_wrong_request_is_one_line_and_changes_nothing(arguments: dict[str, Any], words: str) -> None:
    pruner = ModelPruner(Masked().eval(), torch.randn(2, 3, 8, 8))
    before = pruner.model
    with pytest.raises(RecipeError) as caught:
        pruner.structured_pruning(**arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert pruner.model is before


def test_channels_need_example_inputs() -> None:
    with pytest.raises(ModelError, match="structured pruning needs example_inputs; give them to ModelPruner"):
        ModelPruner(Masked()).structured_pruning()
