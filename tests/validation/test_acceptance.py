"""Acceptance: the budgets of accuracy decide, each where it can be measured."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.data.batches import Batches, InputNames
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Budgets
from edgecompress.validation.acceptance import accuracy_test
from tests.exporters.graphs import draw, graph, run

X = draw(40, 4, 8, 8)


def _classifier(noise: float) -> ir.Model:
    weight = draw(256, 5) * 0.1 + noise * draw(256, 5, seed=1)
    return graph("f = Flatten(x) y = Gemm(f, w)", w=weight.astype(np.float32))


def _batches(*, labelled: bool) -> Batches:
    labels = run(_classifier(0.0), X).argmax(axis=1)
    data = [(X, labels)] if labelled else [X]
    return Batches(role="evaluation", source=lambda: data, inputs=InputNames(names=("x",), required=1))


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
    assert within(_classifier(0.2)) is accepted
    assert within(_classifier(0.0))
