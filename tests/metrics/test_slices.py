"""Lost slices: planted ones are found wherever they lie, and rounding to 8 bits is never taken for a loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecompress.metrics.slices import add_tables, lost_slices, output_db, tabulate, worst_slice

Array = NDArray[Any]
SHAPES = ((8, 10), (16, 3), (4, 1000), (4, 5, 7), (1, 84, 40), (2, 6, 5, 4), (1, 3, 16, 16), (4, 4, 2, 3, 2))
FORMS = ("normal", "relu", "sigmoid", "shifted")


def _drawn(seed: int, shape: tuple[int, ...], form: str, spread: float = 16.0) -> Array:
    """Values whose channels, and places, differ in size by up to ``spread``."""
    random = np.random.default_rng(seed)
    values = random.standard_normal(shape)
    if form == "relu":
        values = np.maximum(values, 0)
    elif form == "sigmoid":
        values = 1 / (1 + np.exp(-2 * values))
    sizes = spread ** -random.random((1, shape[1], *[1] * (len(shape) - 2)))
    shifts = 3 * random.standard_normal(sizes.shape) if form == "shifted" else 0.0
    return np.asarray(values * sizes + shifts, np.float32)


def _rounded(values: Array, bits: int = 8) -> Array:
    """To the integers of one scale, as a quantized output is."""
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    scale = (high - low) / (2**bits - 1)
    return np.asarray(np.round(values / scale) * scale, np.float32)


def _lost(reference: Array, actual: Array, *, silent: bool = False) -> list[str]:
    return lost_slices("x", tabulate(reference, actual), silent=silent)


@given(st.integers(0, 2**32), st.sampled_from(SHAPES), st.sampled_from(FORMS), st.sampled_from([7, 8]))
def test_rounding_is_no_loss(seed: int, shape: tuple[int, ...], form: str, bits: int) -> None:
    values = _drawn(seed, shape, form)
    assert _lost(values, _rounded(values, bits)) == []


@given(st.integers(0, 2**32), st.sampled_from(SHAPES), st.sampled_from(FORMS))
def test_rounding_of_floats_is_no_loss(seed: int, shape: tuple[int, ...], form: str) -> None:
    values = _drawn(seed, shape, form, spread=1e4)
    assert _lost(values, np.nextafter(values, np.float32(np.inf))) == []


@given(st.data(), st.integers(0, 2**32), st.sampled_from(SHAPES), st.sampled_from(FORMS), st.booleans())
def test_a_planted_loss_is_found_wherever_it_lies(
    data: st.DataObject, seed: int, shape: tuple[int, ...], form: str, integers: bool
) -> None:
    values = _drawn(seed, shape, form, spread=4)
    axis = data.draw(st.sampled_from(sorted({1, len(shape) - 1})))
    index = data.draw(st.integers(0, shape[axis] - 1))
    place: Any = (*[slice(None)] * axis, index)
    planted = data.draw(st.sampled_from([0.0, float(values[place].mean())]))
    gone = np.square(values[place] - planted).mean()
    typical = np.median(values.var(axis=tuple(other for other in range(values.ndim) if other != axis)))
    if np.count_nonzero(values[place]) < 4 or gone < typical / 4:  # what hardly fires, or varies, has little to lose
        return
    actual = _rounded(values) if integers else values.copy()
    actual[place] = planted
    name = f"x[:, {index}]" if axis == 1 else f"x[..., {index}]"
    assert name in _lost(values, actual)
    assert name in _lost(values, actual, silent=True)


@given(st.integers(0, 2**32), st.permutations(range(4)))
def test_batches_add_up_in_any_order(seed: int, order: list[int]) -> None:
    values = _drawn(seed, (8, 6, 5), "normal")
    actual = _rounded(values)
    actual[:, 2] = 0
    tables = [tabulate(values[2 * part : 2 * part + 2], actual[2 * part : 2 * part + 2]) for part in order]
    total = tables[0]
    for table in tables[1:]:
        total = add_tables(total, table)
    whole = tabulate(values, actual)
    assert total.keys() == whole.keys()
    for key, sums in whole.items():
        np.testing.assert_allclose(total[key], sums, rtol=1e-9, atol=1e-9)
    assert "x[:, 2]" in lost_slices("x", total) == lost_slices("x", whole)


def test_a_detector_whose_scores_are_all_zero() -> None:
    """One output (rows, 4 + classes, places): the boxes hide the scores, which are 77 dB below them."""
    random = np.random.default_rng(0)
    boxes = 640 * random.random((1, 4, 840))
    scores = 1 / (1 + np.exp(8 - 2 * random.standard_normal((1, 80, 840))))
    values = np.concatenate([boxes, scores], axis=1).astype(np.float32)
    exact, noisy = values.copy(), values.copy()
    noisy[:, :4] += random.normal(0, 2, (1, 4, 840))  # the boxes of an INT8 network
    for actual in (exact, noisy):
        actual[:, 4:] = 0
        assert output_db(tabulate(values, actual)) > 40
        assert _lost(values, actual) == [f"x[:, {index}]" for index in range(4, 84)]
    one_class = values.copy()
    one_class[:, :4] = noisy[:, :4]
    one_class[:, 83] = 0
    assert _lost(values, one_class) == ["x[:, 83]"]


def test_the_only_class_of_a_detector() -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([640 * random.random((1, 4, 840)), random.random((1, 1, 840)) ** 8], axis=1)
    actual = values + np.array([1, 1, 1, 1, 0])[:, None] * random.normal(0, 2, values.shape)
    actual[:, 4] = 0.02
    assert _lost(values, actual) == ["x[:, 4]"]


@pytest.mark.parametrize("strength", [1e-3, 1e-5, 0.0])
def test_a_channel_that_hardly_ever_fires_is_no_loss(strength: float) -> None:
    values = np.maximum(np.random.default_rng(0).standard_normal((4, 32, 8, 8)), 0)
    values[:, 5] = 0
    values[:, 6] *= strength
    values[0, 5, 0, 0] = strength
    actual = _rounded(values)
    assert not actual[:, 5:7].any()
    assert _lost(values, actual) == []
    found = worst_slice("x", tabulate(values, actual))
    assert found is not None
    assert found[0] > 30


def test_answers_that_hardly_vary_may_round_to_one() -> None:
    """Scores far from each other that depend little on the input: the step of 8 bits is wider than what varies."""
    random = np.random.default_rng(0)
    values = np.linspace(-5, 5, 12) + 0.004 * random.standard_normal((8, 12))
    assert (_rounded(values) == _rounded(values)[0]).all(axis=0).sum() > 6
    assert _lost(values, _rounded(values)) == []


def test_a_whole_output_that_is_a_constant() -> None:
    values = np.random.default_rng(0).standard_normal((8, 4)) + 20
    assert output_db(tabulate(values, np.full_like(values, 20))) > 25
    assert _lost(values, np.full_like(values, 20)) == ["x"]


def test_what_is_wrong_without_being_silent_counts_unless_the_network_may_answer_otherwise() -> None:
    values = np.random.default_rng(0).standard_normal((16, 12))
    turned = values.copy()
    turned[:, 3] *= -1
    assert _lost(values, turned) == ["x[:, 3]"]
    assert _lost(values, turned, silent=True) == []
    assert _lost(values, -values) == ["x"]


@given(st.integers(0, 2**32), st.integers(8, 100), st.integers(0, 3), st.floats(0.9, 3))
def test_noise_in_most_slices_is_no_loss_of_some(seed: int, channels: int, exact: int, noise: float) -> None:
    """Scores that drown in noise, next to boxes that do not: the few that are exact single no other one out."""
    random = np.random.default_rng(seed)
    values = np.concatenate([50 * random.random((4, 4, 90)), random.random((4, channels, 90)) ** 4], axis=1)
    actual = values.copy()
    actual[:, 4 + exact :] += noise * random.standard_normal((4, channels - exact, 90))
    assert _lost(values, actual) == []


@given(st.integers(0, 2**32), st.integers(5, 100), st.floats(0.01, 0.49))
def test_noise_in_fewer_slices_than_half_is_a_loss_of_these(seed: int, channels: int, share: float) -> None:
    random = np.random.default_rng(seed)
    values = random.standard_normal((4, channels, 90))
    wrong = random.choice(channels, 1 + int(share * (channels - 2)), replace=False)
    actual = values.copy()
    actual[:, wrong] = 2 * random.standard_normal((4, len(wrong), 90))
    found = _lost(values, actual)
    assert found == ["x"] or found == [f"x[:, {index}]" for index in sorted(wrong)]


def test_what_is_no_number_is_lost() -> None:
    values = np.random.default_rng(0).standard_normal((8, 6))
    actual = values.copy()
    actual[3, 2] = np.nan
    assert _lost(values, actual) == ["x"]  # its agreement is no number either
    assert _lost(values, actual, silent=True) == ["x"]


def test_an_axis_whose_length_changes_is_not_cut() -> None:
    first, second = (np.random.default_rng(0).standard_normal((4, 3, length)) for length in (5, 7))
    total = add_tables(tabulate(first, first), tabulate(second, second))
    assert list(total) == ["", "[:, {}]"]
    again = add_tables(total, tabulate(first, first))
    assert list(again) == ["", "[:, {}]"]


def test_indices_are_judged_as_a_whole() -> None:
    classes = np.arange(24).reshape(8, 3)
    assert list(tabulate(classes, classes)) == [""]


def test_the_worst_slice_is_named_with_its_agreement() -> None:
    values = np.random.default_rng(0).standard_normal((8, 3, 4)).astype(np.float32)
    actual = values.copy()
    actual[:, 1] *= 1.1
    actual[:, 2] *= 1.01
    found = worst_slice("x", tabulate(values, actual))
    assert found is not None
    assert found[0] == pytest.approx(20, abs=1e-4)
    assert found[1] == "x[:, 1]"
