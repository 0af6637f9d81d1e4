"""What is predicted of a model: the measured networks themselves, what lies between them, and the aim of a student."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.recipe.budgets import Budgets
from edgecompress.targets import effective_profile, load_profile, profile_names, strategy_names
from edgecompress.targets.effects import (
    EFFECTS,
    LATENCY_ERROR,
    MARGIN,
    SIZE_ERROR,
    MeasuredFloat,
    Reference,
    asked_speedup,
    predict,
)
from edgecompress.techniques import student

ROOT = Path(__file__).resolve().parents[2]
CASES = [(name, each) for name in strategy_names() for each in EFFECTS[load_profile(name).recipe.techniques].references]


@pytest.mark.parametrize(("name", "reference"), CASES)
def test_a_figure_stands_in_its_source(name: str, reference: Reference) -> None:
    text = (ROOT / reference.source).read_text()
    for figure in (reference.smaller, reference.faster):
        left = f"{100 / figure:.1f}%"  # where the source says what is left of the parameters
        assert re.search(rf"\b{figure:.2f}x", text) or left in text, (name, figure)


@pytest.mark.parametrize(("name", "reference"), CASES)
def test_a_network_that_was_measured_is_predicted_as_it_was(name: str, reference: Reference) -> None:
    found = predict(load_profile(name), MeasuredFloat(size_mb=reference.float_mb, latency_ms=10.0))
    assert found is not None
    assert found.size_mb == pytest.approx(reference.float_mb / reference.smaller)
    # A student is as fast as it was asked to be, and was measured to be.
    assert found.latency_ms == pytest.approx(10.0 / reference.faster, rel=0.1 if name == "realtime" else 1e-6)


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_has_an_effect_and_its_networks_grow(name: str) -> None:
    sizes = [reference.float_mb for reference in EFFECTS[load_profile(name).recipe.techniques].references]
    assert sizes == sorted(set(sizes))


@given(st.sampled_from(profile_names()), st.floats(0.01, 1e4), st.floats(0.01, 1e4))
def test_no_prediction_is_beyond_what_was_measured(name: str, size_mb: float, latency_ms: float) -> None:
    profile = load_profile(name)
    found = predict(profile, MeasuredFloat(size_mb=size_mb, latency_ms=latency_ms))
    assert found is not None
    smaller = [reference.smaller for reference in EFFECTS[profile.recipe.techniques].references]
    assert min(smaller) <= size_mb / found.size_mb * (1 + 1e-9)
    assert size_mb / found.size_mb <= max(smaller) * (1 + 1e-9)


def test_half_way_between_two_sizes_is_half_way_between_their_ratios() -> None:
    first, second = EFFECTS["quantization",].references[-2:]
    size_mb = (first.float_mb * second.float_mb) ** 0.5
    found = predict(load_profile("mobile"), MeasuredFloat(size_mb=size_mb, latency_ms=1.0))
    assert found is not None
    assert found.speedup == pytest.approx((first.faster + second.faster) / 2)
    assert found.latency_ms == pytest.approx(1 / found.speedup)


def _errors(attribute: str) -> list[float]:
    """By how much each network but the largest is predicted wrongly from the others, as a share of the measurement."""
    found = []
    for effect in EFFECTS.values():
        for own in effect.references:
            rest = [each for each in effect.references if each is not own]
            sizes, ratios = [math.log(each.float_mb) for each in rest], [getattr(each, attribute) for each in rest]
            found.append((own, getattr(own, attribute) / np.interp(math.log(own.float_mb), sizes, ratios) - 1))
    return [abs(error) for own, error in found if own.network != "ResNet-50"]


def test_the_errors_of_predictions_are_those_of_networks_predicted_from_the_others() -> None:
    assert round(max(_errors("smaller")), 2) == SIZE_ERROR
    assert round(max(_errors("faster")), 2) == LATENCY_ERROR
    text = " ".join((ROOT / "docs" / "targets.md").read_text().split())
    assert (
        f"its size is within {100 * SIZE_ERROR:.0f} % of the measurement and its latency within"
        f" {100 * LATENCY_ERROR:.0f} %" in text
    )


@pytest.mark.parametrize("name", profile_names())
def test_without_the_float_latency_there_is_a_ratio_and_no_time(name: str) -> None:
    profile = load_profile(name)
    known, unknown = (predict(profile, MeasuredFloat(size_mb=5.0, latency_ms=ms), 1e6) for ms in (1.0, None))
    assert known is not None
    assert unknown is not None
    assert unknown.latency_ms is None
    assert (unknown.size_mb, unknown.speedup) == (known.size_mb, known.speedup)


def test_nothing_is_predicted_of_what_was_not_measured() -> None:
    assert predict(load_profile("mobile"), None) is None
    unknown = effective_profile("mobile", ["low_rank.enabled=true"])
    assert predict(unknown, MeasuredFloat(size_mb=1.0, latency_ms=1.0)) is None


@pytest.mark.parametrize(
    ("budgets", "max_latency_ms", "speedup"),
    [
        (Budgets(), None, 1.0),
        (Budgets(min_speedup=2.0), None, 2.0),
        (Budgets(min_speedup=2.0), 2.0, 5.0),
        (Budgets(min_speedup=2.0), 8.0, 2.0),
        (Budgets(max_latency_p99_ms=2.5), None, 4.0),
    ],
)
def test_a_student_is_cut_for_the_strictest_budget(
    budgets: Budgets, max_latency_ms: float | None, speedup: float
) -> None:
    assert asked_speedup(budgets, 10.0, max_latency_ms) == pytest.approx(speedup / MARGIN)


def test_the_margin_is_that_of_the_technique() -> None:
    assert MARGIN == student.MARGIN
