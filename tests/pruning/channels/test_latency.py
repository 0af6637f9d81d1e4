"""Latency by widths: terms from clocks that the tests set, so that the arithmetic can be checked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from edgecompress.pruning.channels import latency
from edgecompress.pruning.channels.cost_terms import add_up
from edgecompress.pruning.channels.latency import latency_terms
from edgecompress.pruning.channels.operator_times import Operator
from edgecompress.pruning.channels.structured import Subject, examine
from edgecompress.timing.clock import OwnClock
from tests.networks import ConvNet, seeded

CLOCK = OwnClock(threads=1)


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch) -> Subject:
    """A network whose layers take a nanosecond for each pair of an input and an output channel."""

    def clock(_operator: Operator) -> Callable[[int, int], float]:
        return lambda inputs, outputs: inputs * outputs / 1000

    monkeypatch.setattr(
        latency, "time_operators", lambda operators, _clock: {operator: clock(operator) for operator in operators}
    )
    return examine(seeded(ConvNet), (torch.randn(1, 3, 16, 16),))


def test_the_whole_network_takes_what_it_was_measured_to_take(subject: Subject) -> None:
    terms = latency_terms(subject.structure, subject.groups, 1.5, CLOCK)
    full = {group.name: len(group.units) for group in subject.groups}
    assert add_up(terms)(full) == pytest.approx(1.5)


def test_layers_shrink_with_both_widths_and_the_rest_with_its_elements(subject: Subject) -> None:
    layers = (3 * 8 + 8 * 16 + 16 * 10) / 1000
    terms = latency_terms(
        subject.structure, subject.groups, layers, OwnClock(threads=1)
    )  # nothing is left for the rest
    first, second = (group.name for group in subject.groups)
    assert add_up(terms)({first: 4, second: 16}) == pytest.approx((3 * 4 + 4 * 16 + 16 * 10) / 1000)
    assert add_up(terms)({first: 8, second: 8}) == pytest.approx((3 * 8 + 8 * 8 + 8 * 10) / 1000)


def test_alone_operators_can_take_longer_than_in_their_network(subject: Subject) -> None:
    terms = latency_terms(subject.structure, subject.groups, 0.1, CLOCK)
    full = {group.name: len(group.units) for group in subject.groups}
    assert add_up(terms)(full) == pytest.approx(0.1)
