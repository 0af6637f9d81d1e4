"""Latency: from clocks that the tests set, so that the arithmetic can be checked; and once for real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import nn

from edgecompress.data.batches import Batch
from edgecompress.low_rank import latency
from edgecompress.low_rank.form import LayerCall
from edgecompress.low_rank.latency import network_ms, price_latency
from edgecompress.low_rank.options import Candidate, candidate
from edgecompress.progress import Progress
from edgecompress.timing.clock import OwnClock
from tests.low_rank.networks import Wide

Clock = Callable[[nn.Module], float]
ONE_THREAD = OwnClock(threads=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Clock], list[nn.Module]]:
    """Puts a clock in the place of the runs; what it timed is listed."""

    def install(own: Clock) -> list[nn.Module]:
        timed: list[nn.Module] = []

        def times(modules: Sequence[nn.Module], _call: LayerCall, _clock: OwnClock) -> NDArray[np.float64]:
            timed.extend(modules)
            return np.tile([own(module) for module in modules], (5, 1))

        monkeypatch.setattr(latency, "time_modules", times)
        return timed

    return install


def _weights(module: nn.Module) -> float:
    return float(sum(parameter.numel() for parameter in module.parameters() if parameter.dim() > 1))


def _linear(name: str, inputs: int = 128, outputs: int = 128) -> Candidate:
    return candidate(name, nn.Linear(inputs, outputs), [LayerCall(source=(1, inputs), result=(1, outputs))])


def test_where_time_is_work_it_is_interpolated_exactly(clock: Any) -> None:
    clock(_weights)
    (priced,), refusals = price_latency([_linear("layer")], 8, 1e9, ONE_THREAD, Progress())
    assert not refusals
    assert priced.cost == 128 * 128
    assert len(priced.options) >= 4
    assert all(ms == pytest.approx(option.parameters) for option, ms in priced.options)


def test_a_layer_that_is_never_faster_is_left_whole(clock: Any) -> None:
    clock(lambda module: 1.0 + (not isinstance(module, nn.Linear)))
    (priced,), (refusal,) = price_latency([_linear("layer")], 8, 1e9, ONE_THREAD, Progress())
    assert not priced.options
    assert refusal.name == "layer"
    assert refusal.reason.startswith("not faster in ONNX Runtime: rank ")
    assert refusal.reason.endswith("takes 2.000 ms, the layer 1.000 ms")


def test_only_ranks_between_faster_ones_are_taken(clock: Any) -> None:
    clock(lambda module: _weights(module) * (1 if isinstance(module, nn.Linear) or _weights(module) < 9000 else 3))
    (priced,), _ = price_latency([_linear("layer")], 8, 1e9, ONE_THREAD, Progress())
    assert priced.options
    assert all(option.parameters < 9000 for option, _ in priced.options)


def test_layers_that_look_alike_are_timed_once(clock: Any) -> None:
    timed = clock(_weights)
    price_latency([_linear("a"), _linear("b")], 8, 1e9, ONE_THREAD, Progress())
    assert sum(isinstance(module, nn.Linear) for module in timed) == 1


def test_layers_take_no_longer_than_their_network(clock: Any) -> None:
    clock(_weights)
    priced, _ = price_latency([_linear("a"), _linear("b", 64, 256)], 8, 100.0, ONE_THREAD, Progress())
    assert sum(layer.cost for layer in priced) == pytest.approx(100.0)


def test_a_convolution_has_options_of_both_forms(clock: Any) -> None:
    clock(_weights)
    layer = nn.Conv2d(32, 32, 3, padding=1)
    made = candidate("layer", layer, [LayerCall(source=(1, 32, 8, 8), result=(1, 32, 8, 8))])
    (priced,), _ = price_latency([made], 8, 1e9, ONE_THREAD, Progress())
    assert {option.form.name for option, _ in priced.options} == {"spatial", "tucker-2"}


def test_onnx_runtime_is_asked() -> None:
    small, _ = price_latency([_linear("layer", 512, 512)], 128, 1e9, ONE_THREAD, Progress())
    assert small[0].cost > 0
    assert network_ms([Wide().eval()], Batch(inputs={"x": np.zeros((1, 64), np.float32)}), ONE_THREAD)[0] > 0
