"""A loss of the user's own in every form that it may have is one loss."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecompress.errors import RecipeError
from edgecompress.loading.own_loss import own_loss

OUTPUTS = torch.tensor([[1.0, 4.0]])
TARGETS = [{"value": 2.0}]
"""The squared differences are 1 and 4."""


def function(outputs: Tensor, targets: list[dict[str, float]], scale: float = 1.0) -> Tensor:
    return scale * (outputs - targets[0]["value"]).square().mean()


class Plain:
    def __call__(self, outputs: Tensor, targets: Any) -> Tensor:
        return function(outputs, targets)


class Module(nn.Module):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale))

    def forward(self, outputs: Tensor, targets: Any) -> Tensor:
        return function(outputs, targets) * self.get_buffer("scale")


def make() -> Plain:
    return Plain()


@pytest.mark.parametrize("found", [function, partial(function, scale=1.0), Plain, Plain(), Module, Module(1.0), make])
def test_every_form_gives_one_number(found: Any) -> None:
    loss = own_loss(found, "mine.py:loss")
    assert float(loss(OUTPUTS, {}, TARGETS)) == 2.5
    assert (loss.name, loss.reading) == ("mine.py:loss", None)


def test_those_of_pytorch_are_taken() -> None:
    scores, labels = torch.randn(3, 4), torch.tensor([0, 3, 1])
    for found in (nn.CrossEntropyLoss, nn.CrossEntropyLoss(), functional.cross_entropy):
        assert float(own_loss(found, "torch")(scores, {}, labels)) == float(functional.cross_entropy(scores, labels))


def test_a_module_is_copied_and_an_object_is_not() -> None:
    module, plain = Module(), Plain()
    assert own_loss(module, "m").function is not module
    assert own_loss(plain, "p").function is plain


def test_one_of_classes_says_so() -> None:
    class OfClasses(Plain):
        of_classes = True

    assert own_loss(OfClasses, "mine").reading == "of_classes"


class Broken:
    def __init__(self) -> None:
        raise ValueError("no weights for 3 classes")


class Needy:
    def __init__(self, weights: Tensor) -> None: ...
    def __call__(self, outputs: Tensor, targets: Any) -> Tensor:
        return outputs


FORMS = "give a function (outputs, targets) -> scalar tensor, an object that is called so, or its class"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (3, f"loss 'mine' cannot be called with (outputs, targets); {FORMS}"),
        (lambda outputs: outputs, f"loss 'mine' cannot be called with (outputs, targets); {FORMS}"),
        (lambda: 3.0, f"loss 'mine' cannot be called with (outputs, targets); {FORMS}"),
        (Needy, f"loss 'mine' cannot be called with (outputs, targets); {FORMS}"),
        (nn.ReLU(), f"loss 'mine' cannot be called with (outputs, targets); {FORMS}"),
        (
            Broken,
            "loss 'mine' cannot be made: no weights for 3 classes; name a function without arguments that gives it",
        ),
    ],
)
def test_what_is_no_loss_is_told(found: Any, told: str) -> None:
    with pytest.raises(RecipeError) as caught:
        own_loss(found, "mine")
    assert str(caught.value) == told
