"""The ONNX model has the program's numbers, and names that a user recognizes."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from edgecompress.data.batches import Batch
from edgecompress.errors import ModelError
from edgecompress.exporters.onnx import to_onnx
from edgecompress.modules.capture import capture
from edgecompress.recipe.tables import Export
from edgecompress.runtime import execute, to_bytes
from tests.networks import ConvNet, ResidualNet, TwoInputs, images, seeded

IMAGES = Batch(inputs={"image": images(rows=3, batches=1)[0][0].numpy()})
EMBEDDED = Batch(
    inputs={"features": np.ones((3, 4), np.float32), "token": np.array([1, 5, 9], np.int64)},
)


@pytest.mark.parametrize("kind", [ConvNet, ResidualNet])
def test_the_outputs_are_those_of_the_module(kind: type[nn.Module]) -> None:
    network = seeded(kind)
    model = to_onnx(capture(network, IMAGES, Export()), Export())
    (wanted,), (found,) = execute(network, IMAGES.inputs), execute(model, IMAGES.inputs)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_nodes_carry_the_path_of_their_module() -> None:
    model = to_onnx(capture(seeded(ConvNet), IMAGES, Export()), Export())
    names = [node.name for node in model.graph if node.op_type in ("Conv", "Gemm")]
    assert names == ["features.0", "features.3", "classifier"]
    assert len({node.name for node in model.graph}) == len(model.graph)


class _Choice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bright, self.dark = (nn.Conv2d(3, 4, 3) for _ in range(2))

    def forward(self, image: Tensor) -> Tensor:
        chosen: Tensor = torch.cond(image.mean() > 0, self.bright, self.dark, (image,))
        return chosen


def test_nodes_of_branches_do_so_too() -> None:
    network = seeded(_Choice)
    model = to_onnx(capture(network, IMAGES, Export()), Export())
    names = [node.name for graph in model.graph.subgraphs() for node in graph if node.op_type == "Conv"]
    assert sorted(names, key=str) == ["bright", "dark"]
    (wanted,), (found,) = execute(network, IMAGES.inputs), execute(model, IMAGES.inputs)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_dict_outputs_keep_their_keys_and_inputs_their_names() -> None:
    model = to_onnx(capture(seeded(TwoInputs), EMBEDDED, Export()), Export())
    assert [value.name for value in model.graph.inputs] == ["features", "token"]
    assert [value.name for value in model.graph.outputs] == ["logits", "hidden"]


class _Pair(nn.Module):
    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        return image + 1, [image - 1, image * 2]


def test_outputs_of_a_tuple_are_numbered() -> None:
    model = to_onnx(capture(_Pair(), IMAGES, Export()), Export())
    assert [value.name for value in model.graph.outputs] == ["output_0", "output_1_0", "output_1_1"]


class _Echo(nn.Module):
    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return image * 2, image


def test_an_input_that_is_also_an_output_keeps_its_name() -> None:
    model = to_onnx(capture(_Echo(), IMAGES, Export()), Export())
    assert [value.name for value in model.graph.inputs] == ["image"]
    np.testing.assert_array_equal(execute(model, IMAGES.inputs)[1], IMAGES.inputs["image"])


class _Untranslated(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        flat = image.flatten(2)
        return nn.functional.scaled_dot_product_attention(flat, flat, flat)


def test_an_operator_that_onnx_does_not_have_is_named() -> None:
    with pytest.raises(ModelError) as caught:
        to_onnx(capture(_Untranslated(), IMAGES, Export()), Export())
    assert re.fullmatch(
        "torch.ops.aten.scaled_dot_product_attention.default cannot be written as ONNX: .*;"
        " write that part of the model in other operators",
        str(caught.value),
    )


def test_a_clamp_between_an_integer_and_a_fraction() -> None:
    class Clamped(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image.clamp(-0.5, 2)

    program = capture(Clamped(), IMAGES, Export())
    (wanted,), (found,) = execute(Clamped(), IMAGES.inputs), execute(to_onnx(program, Export()), IMAGES.inputs)
    np.testing.assert_array_equal(found, wanted)


def test_the_batch_dimension_is_dynamic_and_called_batch() -> None:
    model = to_onnx(capture(seeded(ConvNet), IMAGES, Export()), Export())
    assert str(model.graph.inputs[0].shape) == "[batch,3,16,16]"
    assert str(model.graph.outputs[0].shape) == "[batch,10]"
    for rows in (1, 7):
        (output,) = execute(model, {"image": np.zeros((rows, 3, 16, 16), np.float32)})
        assert output.shape == (rows, 10)


def test_a_fixed_batch_dimension_stays_fixed() -> None:
    export = Export(batch_size=2)
    model = to_onnx(capture(seeded(ConvNet), IMAGES, export), export)
    assert str(model.graph.inputs[0].shape) == "[2,3,16,16]"


def test_further_dynamic_axes_have_the_names_of_the_recipe() -> None:
    export = Export(dynamic_axes={"image": {"2": "height", "3": "width"}})
    model = to_onnx(capture(seeded(ConvNet), IMAGES, export), export)
    assert str(model.graph.inputs[0].shape) == "[batch,3,height,width]"
    (output,) = execute(model, {"image": np.zeros((1, 3, 24, 20), np.float32)})
    assert output.shape == (1, 10)


@pytest.mark.parametrize("opset", [18, 20, 23])
def test_the_opset_is_the_one_asked_for(opset: int) -> None:
    export = Export(opset=opset)
    model = to_onnx(capture(seeded(ConvNet), IMAGES, export), export)
    assert model.opset_imports[""] == opset


def test_the_file_is_valid_and_tells_nothing_of_this_machine() -> None:
    content = to_bytes(to_onnx(capture(seeded(ConvNet), IMAGES, Export()), Export()))
    onnx.checker.check_model(content, full_check=True)
    assert __file__.encode() not in content
    assert b"networks.py" not in content


def test_equal_programs_give_equal_bytes() -> None:
    first, second = (to_bytes(to_onnx(capture(seeded(ConvNet), IMAGES, Export()), Export())) for _ in range(2))
    assert first == second
    assert torch.is_grad_enabled()
