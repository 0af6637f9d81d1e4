"""The ways in which the axes of inputs could hold the samples of a batch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.arrays import SHARED, Axes
from edgecompress.data.batch_axes import Shape, batch_symbols, covered, possible_axes, require_axes
from edgecompress.errors import RecipeError

STREAM = {"x": (4, 10, 40), "h": (2, 4, 64), "rate": ()}


def _arrays(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def _ways(
    shapes: Mapping[str, tuple[int, ...]], declared: Mapping[str, Shape] | None = None, asked: Axes | None = None
) -> list[Axes]:
    return [way for alike in possible_axes(_arrays(shapes), declared or {}, asked or {}) for way in alike]


def test_the_leading_dimension_of_the_first_input_counts_the_samples_first() -> None:
    assert _ways(STREAM)[0] == {"x": 0, "h": 1, "rate": SHARED}


def test_every_way_cuts_axes_of_one_size() -> None:
    for way in _ways(STREAM):
        assert len({STREAM[name][axis] for name, axis in way.items() if axis != SHARED}) == 1


def test_inputs_of_one_shape_are_cut_alike() -> None:
    ways = _ways({"x": (1, 1, 8)} | {f"state_{index}": (1, 1, 16) for index in range(20)})
    assert all(len({axis for name, axis in way.items() if name != "x"}) == 1 for way in ways)


def test_more_inputs_are_cut_before_fewer_are() -> None:
    counts = [covered(way) for way in next(possible_axes(_arrays({"x": (4, 3), "table": (4, 8)}), {}, {}))]
    assert counts == sorted(counts, reverse=True) == [2, 1, 1]


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (("time", "batch"), "batch"),
        (("length", "batch_size"), "batch_size"),
        (("time", "N"), "N"),
        (("channels", "x.batch"), "x.batch"),
        (("nodes", "edges"), "nodes"),
        (("None", "edges"), "edges"),
    ],
)
def test_a_name_can_say_that_a_dimension_counts_samples(names: tuple[str, ...], first: str) -> None:
    assert batch_symbols({"x": names})[0] == first


def test_dimensions_of_one_name_go_together() -> None:
    declared: dict[str, Shape] = {"x": ("time", "b", 40), "h": (2, "b", 64), "rate": ()}
    assert {"x": 1, "h": 1, "rate": SHARED} in _ways({"x": (4, 4, 40), "h": (2, 4, 64), "rate": ()}, declared)


def test_a_dimension_that_is_declared_fixed_holds_no_samples_where_another_is_dynamic() -> None:
    ways = _ways({"x": (4, 3), "table": (4, 3)}, {"x": ("None", 3), "table": (4, 3)})
    assert ways == [{"x": 0, "table": SHARED}]


@given(asked=st.sampled_from([{"h": 1}, {"h": 1, "x": 0}, {"x": 0}, {"rate": SHARED}, {"h": SHARED}]))
def test_what_the_recipe_settles_stands_in_every_way(asked: Axes) -> None:
    ways = _ways(STREAM, asked=asked)
    assert ways
    assert all(way[name] == axis for way in ways for name, axis in asked.items())


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"g": 0}, "export.batch_axes names an input 'g'; the inputs are x, h, rate"),
        ({"h": 3}, "export.batch_axes.h names axis 3; 'h' has 3 dimensions"),
        ({"rate": 0}, "export.batch_axes.rate names axis 0; 'rate' has 0 dimensions"),
        (
            {"x": 0, "h": 0},
            "export.batch_axes names axes of different sizes (x 4, h 2); all hold the samples of a batch",
        ),
    ],
)
def test_axes_that_cannot_be_are_refused(asked: Axes, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        require_axes(asked, _arrays(STREAM))
    assert str(caught.value) == words
