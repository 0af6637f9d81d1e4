"""Which score is better, when a run is over, and its position as plain values."""

from __future__ import annotations

import json

import pytest

from edgecompress.training.history import Epoch, Position, Score

NAN = float("nan")


@pytest.mark.parametrize(
    ("first", "other", "better"),
    [
        (Score(accuracy=50.0), None, True),
        (Score(accuracy=51.0), Score(accuracy=50.0), True),
        (Score(accuracy=50.0), Score(accuracy=50.0), False),
        (Score(loss=1.0), Score(loss=2.0), True),
        (Score(loss=2.0), Score(loss=2.0), False),
        (Score(loss=NAN), Score(loss=2.0), False),
        (Score(loss=2.0), Score(loss=NAN), True),
        (Score(loss=NAN), Score(loss=NAN), False),
        (Score(loss=1.0), Score(accuracy=50.0), False),
    ],
)
def test_a_better_score(first: Score, other: Score | None, better: bool) -> None:
    assert first.better_than(other) == better


def _position(epochs: int, best: int) -> Position:
    score = Score(accuracy=50.0)
    history = (Epoch(number=index + 1, loss=1.5, score=score, samples_per_second=9.0) for index in range(epochs))
    return Position(step=7, batches=2, loss_sum=3.0, rows=2, history=tuple(history), best_epoch=best)


@pytest.mark.parametrize(
    ("epochs", "best", "patience", "finished"),
    [(0, 0, None, False), (3, 1, None, False), (3, 1, 2, True), (3, 2, 2, False), (5, 5, None, True), (5, 5, 2, True)],
)
def test_a_run_of_five_epochs_is_over(epochs: int, best: int, patience: int | None, finished: bool) -> None:
    assert _position(epochs, best).finished(5, patience) == finished


def test_a_position_survives_as_plain_values() -> None:
    for position in (Position(), _position(2, 1)):
        assert Position.from_state(json.loads(json.dumps(position.to_state()))) == position
    assert _position(2, 1).loss == 1.5
    assert Position().loss == 0.0
