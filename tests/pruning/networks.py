"""Networks with the layers that pruning treats in their own ways."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from edgecompress.pruning.masks.layers import last_classifier
from edgecompress.pruning.masks.weights import Weight, find_weights


class Tied(nn.Module):
    """A language model whose classifier is its embedding, with attention and two layers that share a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.first = nn.Linear(8, 8)
        self.second = nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.head = nn.Linear(8, 20, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, token: Tensor) -> Tensor:
        hidden = self.embedding(token)
        hidden = self.norm(hidden + self.attention(hidden, hidden, hidden)[0])
        return self.head(self.second(relu(self.first(hidden))))  # type: ignore[no-any-return]


class HeadFirst(nn.Module):
    """A classifier that is defined first and runs last."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 4)
        self.body = nn.Linear(6, 8)

    def forward(self, features: Tensor) -> Tensor:
        return self.head(relu(self.body(features)))  # type: ignore[no-any-return]


def tokens() -> Tensor:
    """int64 (2, 5)."""
    return torch.arange(10).view(2, 5)


def by_name(model: nn.Module) -> dict[str, Weight]:
    """The prunable weights of a model, its last classifier the one that is defined last."""
    return {weight.name: weight for weight in find_weights(model, last_classifier(model))[0]}
