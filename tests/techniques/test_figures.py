"""What a network costs and reaches."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from edgecompress.data.batches import Batches, InputNames
from edgecompress.data.splits import Streams
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.techniques.context import Context
from edgecompress.techniques.figures import costs, measured_value

X = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
LABELS = torch.tensor([0, 1, 1, 1])
DATA = [(X[:2], LABELS[:2]), (X[2:], LABELS[2:])]
EVALUATION = Batches(role="evaluation", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)
        with torch.no_grad():
            self.fc.weight.copy_(torch.eye(2))
            self.fc.bias.copy_(torch.tensor([0.0, 0.1]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.fc(x)
        return scores


def test_accuracy_is_counted_over_the_batches() -> None:
    assert measured_value(Net(), EVALUATION, Progress()) == 75.0
    assert measured_value(Net(), replace(EVALUATION, use_labels=False), Progress()) is None


def test_costs_are_those_of_one_sample() -> None:
    net = Net()
    context = Context(
        original=net,
        teacher=net,
        recipe=Recipe(),
        example=EVALUATION.first(),
        streams=Streams(),
        checkpoints=None,
        progress=Progress(),
    )
    assert costs("original", net, context) == {"original_macs": 4, "original_parameters": 6}
