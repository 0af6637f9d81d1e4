"""Capture: names of inputs, runs that fail, models that cannot be captured."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

from edgecompress import ModelPruner
from edgecompress.data.batches import Batch
from edgecompress.errors import ModelError, RecipeError
from edgecompress.exporters.onnx import to_onnx
from edgecompress.modules.capture import capture, check_runs
from edgecompress.modules.named_inputs import input_names
from edgecompress.recipe.tables import Export
from edgecompress.runtime import execute
from tests.networks import ConvNet, images, seeded

IMAGES = Batch(inputs={"image": images(rows=3, batches=1)[0][0].numpy()})


class _Nothing(nn.Module):
    def forward(self, image: Tensor) -> str:
        return "a cat"


class _Overflow(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image / 0


class _OneSize(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.reshape(3, -1)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (_Nothing(), "returns no tensor"),
        (_Overflow(), "are not finite"),
        (nn.Linear(3, 3), "cannot run on the first batch"),
    ],
)
def test_a_model_that_does_not_run_is_refused(network: nn.Module, words: str) -> None:
    names = input_names(network).names
    with pytest.raises(ModelError, match=words):
        check_runs(network, Batch(inputs={names[0]: IMAGES.inputs["image"]}))


NAN_FILE = '<ir_version: 10, opset_import: ["" : 20]> m (float[1,4] x) => (float[1,4] y) { y = MatMul(x, w) }'


class _Masked(nn.Module):
    """Its mask is infinite on purpose, a sparse buffer is not looked at, and its answers overflow."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.full((4, 4), -torch.inf).triu(1))
        self.register_buffer("sparse", torch.eye(2).to_sparse())

    def forward(self, x: Tensor) -> Tensor:
        return x * x


def test_weights_that_are_not_finite_are_named() -> None:
    network = seeded(ConvNet)
    name, weight = next((name, each) for name, each in network.named_parameters() if each.ndim == 4)
    with torch.no_grad():
        weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(ModelError, match=rf"not finite; weights hold NaN or infinity: '{name}'; take a checkpoint"):
        check_runs(network, Batch(inputs={"image": images()[0][0].numpy()}))


def test_weights_of_a_file_are_named_and_what_is_infinite_on_purpose_is_not() -> None:
    x = np.full((1, 4), 1e30, np.float32)
    nodes = onnx.parser.parse_model(NAN_FILE)
    nodes.graph.initializer.append(onnx.numpy_helper.from_array(np.full((4, 4), np.nan, np.float32), "w"))
    with pytest.raises(ModelError, match="not finite; weights hold NaN or infinity: 'w'; take a checkpoint"):
        check_runs(ir.from_proto(nodes), Batch(inputs={"x": x}))
    with pytest.raises(ModelError, match="not finite; check weights and preprocessing"):
        check_runs(_Masked(), Batch(inputs={"x": x}))


def test_a_program_computes_what_the_module_does() -> None:
    network = seeded(ConvNet)
    program = capture(network, IMAGES, Export())
    np.testing.assert_array_equal(execute(program, IMAGES.inputs)[0], execute(network, IMAGES.inputs)[0])


@pytest.mark.parametrize("rows", [1, 2])
def test_a_program_that_was_captured_by_position_or_with_nested_inputs_runs(rows: int) -> None:
    batch = torch.export.Dim("batch")
    example = torch.zeros(4, 3, 16, 16)
    program = torch.export.export(seeded(ConvNet), (example,), dynamic_shapes=({0: batch},))
    assert input_names(program).names == ("image",)
    given = {"image": IMAGES.inputs["image"][:rows]}
    np.testing.assert_allclose(execute(program, given)[0], execute(seeded(ConvNet), given)[0], rtol=1e-5, atol=1e-6)


def test_one_sample_does_not_freeze_the_batch_dimension() -> None:
    program = capture(seeded(ConvNet), IMAGES.slice(0, 1), Export())
    assert execute(program, IMAGES.inputs)[0].shape == (3, 10)


def test_a_model_for_one_batch_size_is_told_the_fix() -> None:
    with pytest.raises(ModelError, match=r"; set export\.batch_size=1"):
        capture(_OneSize(), IMAGES, Export())


@pytest.mark.parametrize(
    ("axes", "words"),
    [({"picture": {"2": "height"}}, "the inputs are image"), ({"image": {"4": "depth"}}, "has 4 dimensions")],
)
def test_an_axis_that_is_not_there_is_refused(axes: dict[str, dict[str, str]], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        capture(seeded(ConvNet), IMAGES, Export(dynamic_axes=axes))


def test_stderr_is_given_back() -> None:
    before = sys.stderr
    with pytest.raises(ModelError):
        capture(_OneSize(), IMAGES, Export())
    assert sys.stderr is before


class _WindowAttention(nn.Module):
    """A learned bias by relative position, handed to the attention as its mask."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.bias, self.out = nn.Linear(8, 24), nn.Parameter(torch.randn(2, 4, 4)), nn.Linear(8, 8)

    def forward(self, image: Tensor) -> Tensor:
        rows, places, _ = image.shape
        query, key, value = self.qkv(image).view(rows, places, 3, 2, 4).permute(2, 0, 3, 1, 4)
        mask = self.bias.unsqueeze(0).expand(rows, -1, -1, -1)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        joined: Tensor = self.out(mixed.transpose(1, 2).contiguous().reshape(rows, places, 8))
        return joined


def test_a_bias_that_is_trained_with_the_attention_is_written_as_onnx() -> None:
    network, batch = seeded(_WindowAttention), Batch(inputs={"image": np.ones((3, 4, 8), np.float32)})
    program = capture(network, batch, Export())
    model = to_onnx(program, Export())
    np.testing.assert_allclose(execute(model, batch.inputs)[0], execute(network, batch.inputs)[0], rtol=1e-4, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in program.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_what_is_pruned_can_be_trained_on() -> None:
    network = nn.Sequential(seeded(_WindowAttention), nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 8))
    pruned = ModelPruner(network, torch.ones(3, 4, 8)).structured_pruning(amount=0.5).model
    assert len(pruned.get_parameter("1.weight")) < 32
    assert all(parameter.requires_grad for parameter in pruned.parameters())
