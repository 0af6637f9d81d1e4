"""Acceptance: the budgets of accuracy decide, each where it can be measured."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.data.batches import ANY, Batches, InputNames
from edgecompress.metrics.metric import named_measure
from edgecompress.progress import Progress
from edgecompress.recipe.budgets import Budgets
from edgecompress.validation.acceptance import accuracy_test, has_limit
from edgecompress.validation.budgets import OF_QUALITY
from tests.exporters.graphs import draw, graph, run

X = draw(40, 4, 8, 8)


def _classifier(noise: float) -> ir.Model:
    weight = draw(256, 5) * 0.1 + noise * draw(256, 5, seed=1)
    return graph("f = Flatten(x) y = Gemm(f, w)", w=weight.astype(np.float32))


def _batches(*, labelled: bool) -> Batches:
    labels = run(_classifier(0.0), X).argmax(axis=1)
    data = [(X, labels)] if labelled else [X]
    return Batches(role="evaluation", source=lambda: data, inputs=InputNames(names=("x",), required=1))


def _numbers(offset: float) -> Batches:
    """Targets that the float model misses by an offset, measured by the mean absolute error."""
    data = [(X, run(_classifier(0.0), X) + offset)]
    inputs = InputNames(names=("x",), required=1)
    measure = named_measure("mae")
    return Batches(role="evaluation", source=lambda: data, inputs=inputs, measure=measure, label_kinds=ANY)


@pytest.mark.parametrize(
    ("budgets", "labelled", "accepted"),
    [
        (Budgets(max_accuracy_drop=1.0), True, False),
        (Budgets(max_accuracy_drop=99.0), True, True),
        (Budgets(max_accuracy_drop=1.0), False, True),  # no labels: nothing speaks against it
        (Budgets(min_sqnr_db=40.0), False, False),
        (Budgets(), True, True),
    ],
)
def test_a_noisy_artifact_is_held_against_each_budget(budgets: Budgets, labelled: bool, accepted: bool) -> None:
    within = accuracy_test(_classifier(0.0), budgets, _batches(labelled=labelled), Progress())
    assert bool(within(_classifier(0.2))) is accepted
    assert within(_classifier(0.0))


def test_the_metric_of_the_data_decides() -> None:
    exact, worse = _classifier(0.0), _classifier(0.05)
    data = _numbers(0.5)
    before, after = (float(abs(run(model, X) - run(exact, X) - 0.5).mean()) for model in (exact, worse))
    assert after > before + 1e-3
    drop, kept = after - before, before / after
    for budgets, accepted in (
        (Budgets(max_metric_drop=drop + 1e-4), True),
        (Budgets(max_metric_drop=drop - 1e-4), False),
        (Budgets(min_metric_kept=kept - 1e-4), True),
        (Budgets(min_metric_kept=kept + 1e-4), False),
        (Budgets(max_metric=after + 1e-4), True),
        (Budgets(max_metric=after - 1e-4), False),
        (Budgets(min_speedup=99.0), True),
    ):
        assert bool(accuracy_test(exact, budgets, data, Progress())(worse)) is accepted, budgets


@pytest.mark.parametrize(
    ("budgets", "data"),
    [
        (Budgets(max_accuracy_drop=0.0), _batches(labelled=True)),
        (Budgets(max_metric_drop=0.0), _numbers(0.5)),
        (Budgets(min_sqnr_db=90.0), _batches(labelled=False)),
    ],
)
def test_of_two_that_miss_a_budget_the_noisier_one_is_the_less(budgets: Budgets, data: Batches) -> None:
    standing = accuracy_test(_classifier(0.0), budgets, data, Progress())
    far, near = standing(_classifier(0.4)), standing(_classifier(0.1))
    assert not far
    assert not near
    assert far < near
    assert not near < far
    assert near < standing(_classifier(0.0))


def test_a_metric_that_nobody_bounds_says_nothing_of_two_that_miss_another_budget() -> None:
    exact = _classifier(0.0)
    labels = run(_classifier(0.4), X).argmax(axis=1)  # so that the noisier one has the better metric
    inputs = InputNames(names=("x",), required=1)
    data = Batches(role="evaluation", source=lambda: [(X, labels)], inputs=inputs)
    for budgets, expected in ((Budgets(min_sqnr_db=90.0), True), (Budgets(max_accuracy_drop=-99.0), False)):
        standing = accuracy_test(exact, budgets, data, Progress())
        far, near = standing(_classifier(0.4)), standing(_classifier(0.1))
        assert not far
        assert not near
        assert (far < near) is expected
        assert (near < far) is not expected


@pytest.mark.parametrize("name", OF_QUALITY)
def test_a_budget_is_a_limit_where_the_data_can_measure_it(name: str) -> None:
    budgets = Budgets(**{name: 0.5})
    assert has_limit(budgets, _batches(labelled=True))
    assert has_limit(budgets, _batches(labelled=False)) is (name == "min_sqnr_db")
    assert not has_limit(Budgets(min_speedup=2.0), _batches(labelled=True))
