"""A linear classifier of two features, four labelled samples, and the context that a technique is given with them."""

from __future__ import annotations

import torch
from torch import nn

from edgecompress.data.batches import Batches, InputNames
from edgecompress.data.splits import Streams
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.techniques.context import Context

X = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
LABELS = torch.tensor([0, 1, 1, 1])


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.fc(x)
        return scores


def linear_net() -> nn.Module:
    net = Net()
    with torch.no_grad():
        net.fc.weight.copy_(torch.eye(2))
        net.fc.bias.copy_(torch.tensor([0.0, 0.1]))
    return net


def labelled(role: str) -> Batches:
    data = [(X[:2], LABELS[:2]), (X[2:], LABELS[2:])]
    return Batches(role=role, source=lambda: data, inputs=InputNames(names=("x",), required=1))


def context_of(net: nn.Module, recipe: Recipe | None = None, **data: Batches) -> Context:
    return Context(
        original=net,
        teacher=net,
        recipe=recipe or Recipe(),
        example=labelled("train").first(),
        streams=Streams(**data),
        checkpoints=None,
        progress=Progress(),
    )
