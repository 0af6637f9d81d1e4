"""Goals over all layers."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgecompress import RecipeError
from edgecompress.low_rank.goals import most, price, share_out
from edgecompress.low_rank.options import candidate

LAYERS = [candidate(name, nn.Linear(*shape)) for name, shape in {"a": (64, 96), "b": (96, 96)}.items()]
WHOLE = 64 * 96 + 96 * 96 + 500.0
"""With 500 parameters that cannot go."""


@given(st.floats(0, 0.8))
def test_the_share_goes(amount: float) -> None:
    priced = [price(layer, "parameters", 4) for layer in LAYERS]
    chosen = share_out(priced, WHOLE, amount, "parameters")
    left = 500 + sum(chosen[layer.name].parameters if layer.name in chosen else layer.parameters for layer in LAYERS)
    assert left <= (1 - amount) * WHOLE + 1e-6


def test_a_goal_that_cannot_be_met_says_what_can() -> None:
    least = 500 + 16 * (64 + 96) + 16 * (96 + 96)
    with pytest.raises(RecipeError) as caught:
        share_out([price(layer, "parameters", 16) for layer in LAYERS], WHOLE, 0.9, "parameters")
    assert most([price(layer, "parameters", 16) for layer in LAYERS], WHOLE) == pytest.approx(1 - least / WHOLE)
    assert str(caught.value) == (
        f"the goal of 90% fewer parameters cannot be met: at most {1 - least / WHOLE:.1%} can go;"
        " lower 'low_rank.amount' or 'low_rank.multiple'"
    )


def test_the_product_of_the_energies_that_are_kept_is_the_greatest() -> None:
    priced = [price(each, "parameters", 8) for each in LAYERS]
    chosen = share_out(priced, WHOLE, 0.5, "parameters")
    kept = math.prod(1 - each.loss for each in chosen.values())
    cost = sum(chosen[each.name].parameters if each.name in chosen else each.parameters for each in LAYERS)
    wholes = [(1.0, float(each.parameters)) for each in LAYERS]
    curves = [
        [whole, *((1 - option.loss, price) for option, price in layer.options)]
        for whole, layer in zip(wholes, priced, strict=True)
    ]
    for first, second in product(*curves):
        assert first[0] * second[0] <= kept + 1e-12 or first[1] + second[1] > cost


def test_nothing_asked_nothing_changed() -> None:
    assert share_out([price(layer, "parameters", 16) for layer in LAYERS], WHOLE, 0.0, "parameters") == {}
