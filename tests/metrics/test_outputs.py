"""Several outputs by their place and their name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgecompress.errors import RecipeError
from edgecompress.loading.own_metric import own_measure
from edgecompress.metrics.outputs import Outputs, given_outputs
from edgecompress.metrics.running import Running

BOXES, SCORES = np.zeros((2, 4)), np.ones(2)
NAMES = ("boxes", "scores")


def test_outputs_are_a_tuple_that_knows_names() -> None:
    outputs = given_outputs([BOXES, SCORES], NAMES)
    first, second = outputs
    assert (first is BOXES, second is SCORES, outputs[-1] is SCORES, outputs["boxes"] is BOXES) == (True,) * 4
    assert (isinstance(outputs, tuple), outputs.names, outputs[:1]) == (True, NAMES, (BOXES,))
    assert given_outputs([BOXES], ["boxes"]) is BOXES


def _metric(found: Any) -> Running:
    return Running(own_measure(found, "mine.py:score"))


def test_a_metric_reads_them_by_name() -> None:
    running = _metric(lambda outputs, targets: float(outputs["scores"].sum()))
    running.update([BOXES, SCORES], np.zeros(2), "batch", None, NAMES)
    assert running.value == 2


def test_a_name_that_is_none_is_told_with_those_that_are() -> None:
    running = _metric(lambda outputs, targets: outputs["score"])
    with pytest.raises(RecipeError, match="no output is called 'score', they are boxes, scores"):
        running.update([BOXES, SCORES], np.zeros(2), "batch", None, NAMES)


class Kept(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.given: Any = None

    def update(self, outputs: Any, targets: Any) -> None:
        self.given = outputs

    def compute(self) -> float:
        return 1.0

    def reset(self) -> None: ...

    def __deepcopy__(self, memo: dict[int, Any]) -> Kept:
        return self


def test_a_module_is_given_tensors_by_name() -> None:
    kept = Kept()
    _metric(lambda: kept).update([BOXES, SCORES], np.zeros(2), "batch", None, NAMES)
    assert isinstance(kept.given, Outputs)
    assert torch.equal(kept.given["scores"], torch.ones(2, dtype=torch.float64))
