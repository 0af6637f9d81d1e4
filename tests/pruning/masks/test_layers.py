"""Which layers have tensors that can be pruned, and which layer is the last classifier."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgecompress.errors import ModelError
from edgecompress.pruning.masks.layers import last_classifier, layout
from tests.networks import ConvNet, LinearStack, images, seeded
from tests.pruning.networks import HeadFirst, Tied, tokens

LAYERS: dict[str, tuple[nn.Module, str, int]] = {
    "linear": (nn.Linear(8, 4), "weight", 1),
    "conv1d": (nn.Conv1d(8, 4, 3), "weight", 1),
    "conv2d": (nn.Conv2d(8, 4, 3), "weight", 1),
    "conv3d": (nn.Conv3d(8, 4, 3), "weight", 1),
    "transposed": (nn.ConvTranspose1d(8, 4, 3), "weight", 0),
    "attention": (nn.MultiheadAttention(8, 2), "in_proj_weight", 1),
    "attention of other keys": (nn.MultiheadAttention(4, 2, kdim=8), "k_proj_weight", 1),
    "attention's output": (nn.MultiheadAttention(8, 2).out_proj, "weight", 1),
    "embedding": (nn.Embedding(3, 8), "weight", 1),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_inputs_lie_along_their_axis(name: str) -> None:
    module, tensor_name, axis = LAYERS[name]
    how = layout(module, tensor_name)
    assert how is not None
    assert (how.input_axis, how.stretches) == (axis, 1)
    assert getattr(module, tensor_name).shape[axis] == 8


def test_conv1d_of_transformers_is_a_linear_layer() -> None:
    from transformers.pytorch_utils import Conv1D

    module = Conv1D(4, 8)
    how = layout(module, "weight")
    assert how is not None
    assert module.weight.shape[how.input_axis] == 8


@pytest.mark.parametrize(
    ("module", "tensor_name"),
    [
        (nn.Linear(2, 2), "bias"),
        (nn.MultiheadAttention(2, 1), "in_proj_bias"),
        (nn.MultiheadAttention(2, 1, add_bias_kv=True), "bias_k"),
        (nn.BatchNorm2d(2), "weight"),
        (nn.LayerNorm((2, 2)), "weight"),
        (nn.GroupNorm(1, 2), "weight"),
        (nn.RMSNorm(2), "weight"),
        (nn.PReLU(), "weight"),
        (nn.Bilinear(2, 2, 2), "weight"),
        (nn.LSTM(2, 2), "weight_ih_l0"),
    ],
)
def test_nothing_else_can_be_pruned(module: nn.Module, tensor_name: str) -> None:
    assert layout(module, tensor_name) is None


def test_the_classifier_is_the_last_to_run_or_else_to_be_defined() -> None:
    assert last_classifier(HeadFirst()) == "body"
    assert last_classifier(HeadFirst(), torch.ones(1, 6)) == "head"
    assert last_classifier(seeded(ConvNet)) == last_classifier(seeded(ConvNet), images()[0][0]) == "classifier"
    assert last_classifier(seeded(LinearStack)) == "layers.4"
    assert last_classifier(Tied(), tokens()) == "head"


def test_a_classifier_can_be_a_convolution() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert last_classifier(model, torch.ones(1, 3, 2, 2)) == "2"


def test_a_fused_encoder_shows_its_layers_too() -> None:
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    assert last_classifier(model, torch.ones(1, 3, 8)) == "linear2"


def test_an_output_projection_of_attention_is_no_classifier() -> None:
    assert last_classifier(nn.MultiheadAttention(8, 2)) is None
    assert last_classifier(nn.MultiheadAttention(8, 2), (torch.ones(1, 3, 8),) * 3) is None
    assert last_classifier(nn.ReLU()) is None


def test_a_layer_that_is_called_as_a_function_does_not_run() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(nn.functional.linear(x, self.body.weight), self.head.weight)

    assert last_classifier(Functional(), torch.ones(1, 2)) == "head"


def test_the_model_is_not_run_itself() -> None:
    class Counting(nn.Linear):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return super().forward(x)

    model = Counting(2, 2)
    assert last_classifier(model, torch.ones(1, 2)) == ""
    assert model.calls == 0
    assert not model._forward_hooks


def test_inputs_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ModelError, match="does not run on example_inputs"):
        last_classifier(HeadFirst(), torch.ones(1, 7))
