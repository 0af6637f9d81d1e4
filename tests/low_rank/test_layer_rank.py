"""The rank of a layer by itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgecompress.low_rank.form import LayerCall
from edgecompress.low_rank.layer_rank import by_energy, by_ratio
from edgecompress.low_rank.options import Option, candidate
from tests.low_rank.drawn import normal


@pytest.mark.parametrize(
    ("ratio", "multiple", "rank"), [(0.25, 1, 16), (0.2, 8, 16), (0.01, 1, 1), (0.01, 8, 8), (0.3, 16, 16)]
)
def test_the_nearest_multiple_and_at_least_one(ratio: float, multiple: int, rank: int) -> None:
    choice = by_ratio(candidate("layer", nn.Linear(128, 64)), ratio, multiple)
    assert isinstance(choice, Option)
    assert choice.rank == (rank,)


@given(st.integers(2, 40), st.integers(2, 40), st.floats(0.01, 1))
def test_a_layer_is_decomposed_where_that_has_fewer_weights(rows: int, columns: int, ratio: float) -> None:
    made = candidate("layer", nn.Linear(columns, rows))
    rank = min(max(int(ratio * min(rows, columns) + 0.5), 1), min(rows, columns))
    assert isinstance(by_ratio(made, ratio, 1), Option) == (rank * (rows + columns) < rows * columns)


def test_what_does_not_pay_says_why() -> None:
    square = candidate("layer", nn.Linear(8, 8))
    assert by_ratio(square, 0.5, 1) == "rank 4 (svd) has 64 weights, the layer 64"
    strided = candidate("layer", nn.Conv2d(8, 8, 3, stride=4), [LayerCall(source=(1, 8, 35, 35), result=(1, 8, 9, 9))])
    assert "multiply-accumulates, the layer" in str(by_ratio(strided, 0.3, 1))


def test_tucker_takes_the_place_of_the_spatial_form_where_it_loses_less() -> None:
    layer = nn.Conv2d(12, 12, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.einsum("or,rsyx,si->oiyx", normal(12, 3), normal(3, 3, 3, 3), normal(3, 12, seed=1)))
    choice = by_ratio(candidate("layer", layer), 0.25, 1)
    assert isinstance(choice, Option)
    assert choice.form.name == "tucker-2"
    assert choice.loss < 1e-6
    assert choice.parameters <= 9 * (36 + 36)


def test_otherwise_the_spatial_form_stays() -> None:
    layer = nn.Conv2d(12, 12, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.einsum("ory,rix->oixy", normal(12, 4, 3), normal(4, 12, 3, seed=1)))
    choice = by_ratio(candidate("layer", layer), 0.25, 1)
    assert isinstance(choice, Option)
    assert (choice.form.name, choice.rank) == ("spatial", (9,))


@given(st.floats(0.05, 0.6), st.sampled_from([1, 4]))
def test_the_energy_that_is_asked_for_is_kept_and_no_rank_less_would(energy: float, multiple: int) -> None:
    made = candidate("layer", nn.Linear(96, 48))
    choice = by_energy(made, energy, multiple)
    assert isinstance(choice, Option)
    values = torch.linalg.svdvals(made.layer.weight.detach().double()).square()
    kept = values.cumsum(0) / values.sum()
    assert kept[choice.rank[0] - 1] >= energy - 1e-9
    assert choice.rank[0] == multiple or kept[choice.rank[0] - multiple - 1] < energy


def test_an_energy_that_only_the_layer_keeps() -> None:
    reason = by_energy(candidate("layer", nn.Linear(32, 32)), 1.0, 8)
    assert reason == "no rank that is a multiple of 8 keeps 100.0% of its energy and costs less than the layer"
