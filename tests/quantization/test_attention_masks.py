"""Minus infinity in masks becomes a number that integers hold, and attention stays what it was."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.exporters.graph import constant
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.attention_masks import HUGE, bound_masks
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph, run
from tests.quantization.layers import BATCHES, DATA, enclose

LOWEST = float(np.finfo(np.float32).min)
SEEN = np.tril(np.ones((8, 8), bool))
FORMS = {
    "added": "m = Where(seen, zero, least) s = Add(q, m)",
    "added as a constant": "s = Add(q, mask)",
    "a factor": "f = Cast<to=1>(hidden) m = Mul(f, least) s = Add(q, m)",
    "in the place of scores": "s = Where(seen, q, least)",
}
HEAD, TAIL = "t = Transpose<perm=[0,1,3,2]>(x) q = MatMul(x, t)", "p = Softmax(s) y = MatMul(p, x)"
GUARDED = "p = Softmax(s) n = IsNaN(p) g = Where(n, zero, p) y = MatMul(g, x)"


def _attention(form: str, least: float, tail: str = TAIL) -> ir.Model:
    constants = {"seen": SEEN, "hidden": ~SEEN, "zero": np.float32(0), "least": np.float32(least)}
    mask = np.where(SEEN, np.float32(0), np.float32(least))
    body = f"{HEAD} {FORMS[form]} {tail}"
    used = {name: np.asarray(array) for name, array in {**constants, "mask": mask}.items() if name in body}
    return graph(body, **used)


def _least(model: ir.Model) -> float:
    arrays = [constant(value) for value in model.graph.initializers.values()]
    return min(float(array.min()) for array in arrays if array is not None and array.dtype == np.float32)


@pytest.mark.parametrize(
    ("form", "least"),
    [(form, least) for form in FORMS for least in (LOWEST, -np.inf) if (form, least) != ("a factor", -np.inf)],
)
def test_attention_stays_what_it_was(form: str, least: float) -> None:
    model = _attention(form, least)
    expected = run(model, DATA[0])
    assert bound_masks(model, BATCHES, Progress()) == 1
    assert HUGE < _least(model) < 0
    assert Agreement.between([expected], [run(model, DATA[0])]).sqnr_db > 100


@pytest.mark.parametrize("form", FORMS)
def test_integers_hold_the_scores(form: str) -> None:
    model = _attention(form, LOWEST)
    recipe = Quantization(enabled=True, enclose=True, uint16_activations=("*",))
    enclosed = enclose(model, recipe, BATCHES, Progress()).model
    assert Agreement.between([run(model, DATA[0])], [run(enclosed, DATA[0])]).sqnr_db > 40


def test_the_guard_against_nan_is_dropped() -> None:
    model = _attention("added", -np.inf, GUARDED)
    expected = run(model, DATA[0])
    bound_masks(model, BATCHES, Progress())
    operators = [node.op_type for node in model.graph]
    assert (operators.count("IsNaN"), operators.count("Where")) == (0, 1)  # the mask's own Where
    assert Agreement.between([expected], [run(model, DATA[0])]).sqnr_db > 100


def test_minus_infinity_that_is_no_mask_stays() -> None:
    for body in ("c = Clip(x, least) y = Softmax(c)", "y = Add(x, least)"):
        model = graph(body, least=np.array(LOWEST, np.float32))
        before = to_bytes(model)
        assert bound_masks(model, BATCHES, Progress()) == 0
        assert to_bytes(model) == before


def test_scores_that_are_far_apart_end_above_the_masked_ones() -> None:
    model = graph(
        f"{HEAD} w = Mul(q, k) s = Where(seen, w, least) {TAIL}",
        k=np.array(50, np.float32),
        seen=SEEN,
        least=np.array(-np.inf, np.float32),
    )
    expected = run(model, draw(8, 4, 8, 8))
    bound_masks(model, BATCHES, Progress())
    assert _least(model) < -1000
    assert Agreement.between([expected], [run(model, draw(8, 4, 8, 8))]).sqnr_db > 100
