"""A crossing costs something on any machine, and more for more values."""

from __future__ import annotations

import pytest

from edgecompress.quantization.crossing_price import CrossingPrice, crossing_price


def test_the_price_on_this_machine_is_positive_and_grows() -> None:
    price = crossing_price(1)
    assert 0 < price.of(1) < price.of(10_000_000)


def test_a_factor_holds_for_any_number_of_values() -> None:
    price = CrossingPrice(each=0.02, value=1e-6)
    for values in (0, 1, 123_456):
        assert price.times(3).of(values) == pytest.approx(3 * price.of(values))
