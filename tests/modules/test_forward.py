"""Example inputs reach a model in every form, and what they do to it is the caller's to know."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgecompress.errors import ModelError
from edgecompress.modules.forward import run_example
from tests.networks import ConvNet, TwoInputs, images, seeded


class TakesDict(nn.Module):
    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return batch["a"] - batch["b"]


class TakesAnything(nn.Module):
    def forward(self, **inputs: Tensor) -> Tensor:
        return inputs["a"] - inputs["b"]


PAIR = {"a": torch.tensor(3.0), "b": torch.tensor(1.0)}


@pytest.mark.parametrize("inputs", [(torch.ones(5, 4), torch.arange(5)), [torch.ones(5, 4), torch.arange(5)]])
def test_several_inputs_by_position(inputs: Any) -> None:
    assert run_example(seeded(TwoInputs), inputs)["logits"].shape == (5, 10)


def test_several_inputs_by_name() -> None:
    inputs = {"token": torch.arange(5), "features": torch.ones(5, 4)}
    assert run_example(seeded(TwoInputs), inputs)["logits"].shape == (5, 10)


@pytest.mark.parametrize("model", [TakesDict(), TakesAnything()])
def test_a_dict_is_an_input_where_its_keys_are_none(model: nn.Module) -> None:
    assert run_example(model, PAIR) == 2


def test_the_pass_is_one_of_evaluation_without_gradients() -> None:
    model = seeded(ConvNet).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert not run_example(model, images()[0][0]).requires_grad
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_the_random_state_is_left_alone() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.randn(3)

    torch.manual_seed(0)
    wanted = torch.randn(1)
    torch.manual_seed(0)
    run_example(Noisy(), torch.zeros(3))
    assert torch.equal(torch.randn(1), wanted)


def test_inputs_go_to_the_model_s_device() -> None:
    model = nn.Linear(4, 4, device="meta")
    assert run_example(model, torch.ones(1, 4)).is_meta


def test_inputs_that_do_not_fit_are_named_in_one_line() -> None:
    with pytest.raises(ModelError, match=r"^ConvNet does not run on example_inputs: .+$"):
        run_example(seeded(ConvNet), torch.ones(2, 5))
    with pytest.raises(ModelError, match="missing 1 required positional argument: 'token'"):
        run_example(seeded(TwoInputs), torch.ones(5, 4))
