"""History of a training: its epochs and result, and its position while it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from torch import nn


@dataclass(frozen=True, kw_only=True)
class Score:
    """A network on the evaluation data: top-1 accuracy in percent, the mean loss where there are no classes, or another
    metric in their place, which is better the higher it is where it ``wants_more``.
    """

    accuracy: float | None = None
    loss: float | None = None
    metric: float | None = None
    wants_more: bool = True

    def better_than(self, other: Score | None) -> bool:
        """Whether this one is strictly better; any is better than none, or than one that is not a number."""
        if other is None:
            return True
        if self.accuracy is not None and other.accuracy is not None:
            return self.accuracy > other.accuracy
        if self.metric is not None and other.metric is not None:
            return self.metric > other.metric if self.wants_more else self.metric < other.metric
        if self.loss is None or other.loss is None:
            return False
        return self.loss < other.loss or (math.isnan(other.loss) and not math.isnan(self.loss))

    @property
    def in_words(self) -> str:
        """What people are told of it; nothing of a loss.

        >>> Score(accuracy=75.0).in_words, Score(metric=0.0625).in_words
        ('accuracy 75.00 %', 'metric 0.0625')
        """
        if self.accuracy is not None:
            return f"accuracy {self.accuracy:.2f} %"
        return "" if self.metric is None else f"metric {self.metric:.4g}"


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One pass over the train data; ``loss`` is the mean over its samples, ``number`` counts from 1.

    The rate counts what one process saw since the run began or was resumed, evaluation left out.
    """

    number: int
    loss: float
    score: Score | None
    samples_per_second: float


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The network with the best weights, in evaluation mode, and how it came to them.

    ``best_epoch`` is the number of the epoch whose weights these are: the best on the evaluation data, or the last.
    """

    model: nn.Module
    history: tuple[Epoch, ...]
    best_epoch: int

    @property
    def best(self) -> Epoch:
        """The epoch whose weights these are."""
        return self.history[self.best_epoch - 1]


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """An optimizer step that was just taken: its number from 1, the mean loss of its samples, and the network.

    ``model`` is the network in training, without wrappers: what is changed in it is trained on.
    """

    number: int
    epoch: int
    loss: float
    model: nn.Module


@dataclass(frozen=True, kw_only=True)
class Position:
    """Progress of a run: ``step`` steps in all, and ``batches`` batches of the epoch that is under way."""

    step: int = 0
    batches: int = 0
    loss_sum: float = 0.0
    rows: int = 0
    history: tuple[Epoch, ...] = ()
    best_epoch: int = 0

    @property
    def epoch(self) -> int:
        """The number of the epoch that is under way, or that comes next."""
        return len(self.history) + 1

    @property
    def best(self) -> Score | None:
        """The best score so far."""
        return self.history[self.best_epoch - 1].score if self.best_epoch else None

    @property
    def loss(self) -> float:
        """Mean loss over the samples of the epoch that is under way."""
        return self.loss_sum / max(1, self.rows)

    def finished(self, epochs: int, patience: int | None) -> bool:
        """Whether all epochs are done, or the last ``patience`` of them were no better."""
        stale = len(self.history) - self.best_epoch
        return len(self.history) >= epochs or (patience is not None and stale >= patience)

    def to_state(self) -> dict[str, Any]:
        """Plain values that a checkpoint can hold."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Position from the values of :meth:`to_state`."""
        history = tuple(
            Epoch(**{**epoch, "score": None if epoch["score"] is None else Score(**epoch["score"])})
            for epoch in state["history"]
        )
        return cls(**{**state, "history": history})
