"""Gradients of the loss are those that PyTorch adds up."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from edgecompress.recipe.tables import Recipe, Training
from edgecompress.techniques.loss_gradients import loss_gradients
from tests.techniques.linear import LABELS, X, context_of, labelled, linear_net


def test_gradients_add_up_over_the_batches_and_leave_none_behind() -> None:
    net = linear_net()
    found = loss_gradients(net, context_of(net, train=labelled("train")), "criterion 'taylor'")
    assert all(each.grad is None for each in net.parameters())
    sum(nn.functional.cross_entropy(net(X[i : i + 2]), LABELS[i : i + 2]) for i in (0, 2)).backward()  # type: ignore[union-attr]
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)


def test_gradients_are_those_of_the_loss_that_the_recipe_names_or_a_caller_hands_over() -> None:
    def first(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return outputs[:, 0].mean()

    net = linear_net()
    recipe = Recipe(training=Training(loss=f"{__name__}:first"))
    context = replace(context_of(net, recipe, train=labelled("train")), loss=first)
    found = loss_gradients(net, context, "criterion 'taylor'")
    torch.testing.assert_close(found["fc.bias"], torch.tensor([2.0, 0.0]))  # of two batches
