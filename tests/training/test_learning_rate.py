"""The learning rate over a run."""

from __future__ import annotations

import pytest
import torch

from edgecompress.training.learning_rate import LAST, SchedulerFactory, cosine, one_cycle, warm_cosine


def _rates(scheduler: SchedulerFactory, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    followed, rates = scheduler(optimizer, steps), []
    for _ in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        followed.step()
    return rates


def test_one_cycle_goes_up_for_three_tenths_and_down_along_half_cosines() -> None:
    rates = _rates(one_cycle, 100)
    assert (rates[0], rates[15], rates[30], rates[65]) == pytest.approx((0.08, 1.04, 2.0, 1.0))
    assert rates == [*sorted(rates[:30]), *sorted(rates[30:], reverse=True)]
    assert 2.0 * LAST <= rates[-1] < 0.01


def test_cosine_warms_up_for_a_twentieth() -> None:
    rates = _rates(cosine, 100)
    assert rates.index(max(rates)) == 5
    assert rates[5:] == sorted(rates[5:], reverse=True)


def test_half_way_down_is_half() -> None:
    assert warm_cosine(0.65, 0.3) == pytest.approx(0.5)


def test_steps_beyond_the_run_keep_the_last_rate() -> None:
    assert warm_cosine(1.5, 0.3) == LAST
