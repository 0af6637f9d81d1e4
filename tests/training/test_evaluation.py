"""Scores: accuracy where there are classes, the mean loss elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgecompress.data.batches import ANY
from edgecompress.errors import DataError
from edgecompress.loading.own_metric import own_measure
from edgecompress.metrics.metric import named_measure
from edgecompress.training import Settings, cross_entropy, mean_squared_error
from edgecompress.training.engine import Engine
from edgecompress.training.evaluation import evaluate, score
from edgecompress.training.feature_taps import TappedOutputs
from edgecompress.training.history import Score
from edgecompress.training.losses import Loss
from tests.training.batches import batches

LOGITS = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


class Scores(nn.Module):
    """Returns its input; dropout would change it in training."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.dropout = nn.Dropout(0.9)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(x * self.scale)  # type: ignore[no-any-return]


def _evaluate(data: list[Any], loss: Loss = cross_entropy, **options: Any) -> Score:
    engine = Engine.start(Scores(), Settings(), 1)
    score = evaluate(engine, batches(data, "evaluation", "x", **options), loss, True)
    assert engine.module.training
    return score


def test_right_answers_are_counted_over_batches_of_any_size() -> None:
    data = [(LOGITS, torch.tensor([0, 1, 1])), (LOGITS[:1], torch.tensor([-100])), (LOGITS[:1], torch.tensor([0]))]
    assert _evaluate(data) == Score(accuracy=75.0)


def test_a_regression_is_measured_by_its_loss() -> None:
    data = [(LOGITS, LOGITS + 1), (LOGITS[:1], LOGITS[:1] + 3)]
    score = _evaluate(data, mean_squared_error, label_kinds="iuf")
    assert score.accuracy is None
    assert score.loss == pytest.approx((3 * 1 + 1 * 9) / 4)


def test_a_network_alone_is_scored_alike_and_keeps_its_modes() -> None:
    network, cpu = Scores().train(), torch.device("cpu")
    network.dropout.eval()
    data = [(LOGITS, torch.tensor([0, 1, 1])), (LOGITS[:1], torch.tensor([0]))]
    assert score(network, batches(data, "evaluation", "x"), cross_entropy, cpu) == _evaluate(data)
    assert (network.training, network.dropout.training) == (True, False)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([LOGITS], "evaluation batch 0 has no labels"),
        ([(LOGITS, torch.tensor([0, 1, 1])), (LOGITS[:1], torch.tensor([2]))], "evaluation batch 1: label 2 is out"),
        ([(LOGITS[:1], torch.tensor([-100]))], "yields no labelled samples"),
        ([], "yields no batches"),
    ],
)
def test_data_that_cannot_be_scored_are_refused(data: list[Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        _evaluate(data)


def _metric(data: list[Any], name: str) -> Score:
    engine = Engine.start(Scores(), Settings(), 1)
    batches_ = batches(data, "evaluation", "x", label_kinds=ANY)
    return evaluate(engine, batches_, cross_entropy, True, named_measure(name))


def test_a_metric_stands_in_place_of_accuracy_and_loss() -> None:
    data = [(LOGITS, LOGITS + 1), (LOGITS[:1], LOGITS[:1] + 3)]
    score = _metric(data, "mae")
    assert score == Score(metric=(3 * 1 + 1 * 3) / 4, wants_more=False)
    assert score.better_than(Score(metric=2.0, wants_more=False))
    assert not score.better_than(Score(metric=1.0, wants_more=False))
    assert _metric([(LOGITS, torch.tensor([0, 1, 1]))], "top5").better_than(Score(metric=99.0))


def test_top_1_is_accuracy_as_ever() -> None:
    assert _metric([(LOGITS, torch.tensor([0, 1, 1]))], "top1") == Score(accuracy=100 * 2 / 3)


def test_outputs_of_half_precision_and_tapped_ones_are_measured() -> None:
    class Half(Scores):
        def forward(self, x: Tensor) -> Any:
            return TappedOutputs((super().forward(x).bfloat16(), x), (x,))

    class Pair:
        unit = ""

        def update(self, outputs: Any, targets: Any) -> None:
            assert [output.dtype for output in outputs] == [np.float32, np.float32]

        def compute(self) -> float:
            return 1.0

        def reset(self) -> None: ...

    engine = Engine.start(Half(), Settings(), 1)
    data = batches([(LOGITS, LOGITS)], "evaluation", "x", label_kinds=ANY)
    assert evaluate(engine, data, cross_entropy, False, own_measure(Pair, "pair")) == Score(metric=1.0)


def test_a_metric_needs_targets() -> None:
    with pytest.raises(DataError, match="evaluation batch 0 has no labels"):
        _metric([LOGITS], "mae")
    with pytest.raises(DataError, match="yields no labelled samples"):
        _metric([(LOGITS[:1], torch.tensor([-100]))], "miou")
