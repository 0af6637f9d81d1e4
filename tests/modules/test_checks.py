"""What no front end works on."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgecompress.errors import ModelError
from edgecompress.modules.checks import check_module, check_network, check_teacher
from tests.networks import seeded


def test_something_else() -> None:
    with pytest.raises(ModelError, match=r"^the model is a str; give a torch\.nn\.Module$"):
        check_module("resnet")


def test_parameters_without_shape_or_values() -> None:
    with pytest.raises(ModelError, match=r"'0\.weight' has no shape yet; run the model once"):
        check_module(nn.Sequential(nn.LazyLinear(4)))
    with torch.device("meta"), pytest.raises(ModelError, match="'weight' is on the meta device"):
        check_module(nn.Linear(4, 4))


def test_what_cannot_be_exported() -> None:
    with pytest.raises(ModelError, match=r"^the model is a str; give a torch\.nn\.Module, a torch\.export\.Exported"):
        check_network("resnet.onnx")
    with pytest.raises(ModelError, match="'weight' has no shape yet"):
        check_network(nn.DataParallel(nn.LazyLinear(4)))


def test_a_model_comes_out_of_its_wrapper() -> None:
    model = nn.Linear(2, 2)
    assert check_module(nn.DataParallel(model)) is check_network(nn.DataParallel(model)) is model
    assert check_teacher(nn.DataParallel(model), nn.Linear(2, 2)) is model
    with pytest.raises(ModelError, match="are the same module"):
        check_teacher(nn.DataParallel(model), model)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (nn.ReLU, "the model is the class ReLU; create an instance, and load its weights (load_state_dict)"),
        (seeded, "the model is the function seeded; call it, and give the module that it returns"),
        (
            nn.Linear(2, 2).state_dict(),
            "the model is a state dict; load it into a module (load_state_dict), and give that",
        ),
    ],
)
def test_what_belongs_to_a_module_is_told_from_one(given: object, told: str) -> None:
    for check in (check_network, check_module):
        with pytest.raises(ModelError) as caught:
            check(given)
        assert str(caught.value) == told
