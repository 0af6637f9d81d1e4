"""The time of single operators, measured in ONNX Runtime."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgecompress.pruning.channels.operator_times import Operator, operator_of, single, time_operators
from edgecompress.pruning.channels.structured import examine
from edgecompress.runtime import open_session, run_session
from edgecompress.timing.clock import OwnClock

LAYERS = {
    "convolution": (nn.Conv2d(8, 16, 3, 2, 1), (1, 8, 15, 15)),
    "depthwise": (nn.Conv2d(8, 8, 3, padding=1, groups=8), (1, 8, 9, 9)),
    "grouped": (nn.Conv2d(8, 16, 3, groups=2), (1, 8, 9, 9)),
    "same padding": (nn.Conv2d(4, 4, 3, padding="same"), (1, 4, 9, 9)),
    "one dimension": (nn.Conv1d(4, 6, 3, dilation=2), (1, 4, 20)),
    "linear": (nn.Linear(12, 20), (1, 7, 12)),
}


def _operators(layer: nn.Module, shape: tuple[int, ...]) -> list[Operator]:
    structure = examine(nn.Sequential(layer), (torch.randn(shape),)).structure
    calls = (node for node in structure.values if node.op == "call_function")
    return [found for node in calls if (found := operator_of(structure, node)) is not None]


@pytest.mark.parametrize("name", LAYERS)
def test_the_operator_that_is_timed_has_the_shapes_of_the_layer(name: str) -> None:
    layer, shape = LAYERS[name]
    (operator,) = _operators(layer, shape)
    groups = dict(operator.settings).get("group", 1)
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    outputs, inputs = weight.shape[:2]
    widths = inputs * groups, outputs
    session = open_session(single(operator, *widths), 1)
    (spec,) = session.get_inputs()
    (result,) = run_session(session, {spec.name: torch.randn(shape).numpy()})
    assert result.shape == tuple(layer(torch.randn(shape)).shape)
    assert groups == getattr(layer, "groups", 1)


def test_time_grows_with_the_width_and_is_interpolated() -> None:
    operators = _operators(nn.Conv2d(64, 64, 3, padding=1), (1, 64, 32, 32))
    clock = time_operators(operators, OwnClock(threads=1))[operators[0]]
    assert clock(64, 64) > 2 * clock(16, 16) > 0
    assert clock(40, 64) == pytest.approx((clock(32, 64) + clock(48, 64)) / 2)
