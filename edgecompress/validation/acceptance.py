"""Acceptance: whether an artifact is within the budgets of its recipe that speak of its outputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

import onnx_ir as ir

from edgecompress.arithmetic import Arithmetic
from edgecompress.data.batches import Batches
from edgecompress.metrics.metric import Measure
from edgecompress.progress import Progress
from edgecompress.recipe.budgets import Budgets
from edgecompress.runtime import ALL_CORES, open_session
from edgecompress.validation.budgets import OF_QUALITY, OF_THE_METRIC, judge, metric_measures
from edgecompress.validation.scores import Scores, score

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BISECTIONS = 50
"""Halvings of a loss until it is exact."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How an artifact stands to its accuracy budgets: true where they hold.

    What misses them is less than what holds them; of two that miss them, the less is that with the larger ``loss``: of
    the metric, in its own unit, or where no budget of it can be measured, the share of noise in the outputs
    (10^(-dB / 10) of their agreement). ``limit`` is the largest loss with which the budgets would hold, -inf where they
    never do; of what holds them, it is the loss that it has. ``floor`` is the loss of the float model behind it.

    >>> far, near, held = (Standing(held=loss <= 3, loss=loss, limit=min(3.0, loss)) for loss in (9.0, 4.0, 3.0))
    >>> far < near < held, held < Standing(held=True, loss=1.0, limit=1.0)
    (True, False)
    """

    held: bool
    loss: float
    limit: float
    floor: float = 0.0

    def __bool__(self) -> bool:
        return self.held

    def __lt__(self, other: Standing) -> bool:
        return not self.held and (other.held or self.loss > other.loss)


def has_limit(budgets: Budgets, evaluation: Batches) -> bool:
    """Whether a budget speaks of the outputs or their metric, and the data can measure it."""
    return budgets.min_sqnr_db is not None or (_bounds_metric(budgets) and evaluation.first().labels is not None)


def _bounds_metric(budgets: Budgets) -> bool:
    return any(getattr(budgets, name) is not None for name in OF_THE_METRIC)


def accuracy_test(
    original: ir.Model,
    budgets: Budgets,
    evaluation: Batches,
    progress: Progress,
    arithmetic: Arithmetic = "exact",
    *,
    floats: ir.Model | None = None,
) -> Callable[[ir.Model], Standing]:
    """A test that scores an artifact next to the original and holds it against the budgets.

    The metric counts where the data has labels and a budget of it is set, the agreement where ``min_sqnr_db`` is; a
    slice of an output that went silent counts always. Artifacts run in the ``arithmetic`` of their target. ``floats``
    is the float model that artifacts are made of, where it is another than the original; it is scored once, as soon as
    an artifact misses a budget.
    """
    asked = Budgets(**{name: getattr(budgets, name) for name in OF_QUALITY})
    reference = open_session(original, ALL_CORES, background=True)
    measure, bounded = evaluation.measure, _bounds_metric(budgets)

    def scored(session: InferenceSession) -> tuple[Scores, float, Callable[[float], bool]]:
        scores = score([reference, session], evaluation, progress)
        drop = measure.drop(*scores.values) if bounded else None
        if drop is None:
            return scores, scores.agreements[1].noise_share, partial(_bears_noise, asked)
        assert scores.values[0] is not None
        return scores, drop, partial(_bears_drop, asked, measure, scores.values[0])

    @cache
    def floor() -> float:
        return 0.0 if floats is None else scored(open_session(floats, ALL_CORES, background=True))[1]

    def standing(artifact: ir.Model) -> Standing:
        session = open_session(artifact, ALL_CORES, background=True, arithmetic=arithmetic)
        scores, loss, bears = scored(session)
        agreement = scores.agreements[1]
        outputs = {"sqnr_db": agreement.sqnr_db, "lost_slices": len(agreement.lost(silent=True))}
        if not judge(asked, {**metric_measures(measure, *scores.values), **outputs}).missed:
            return Standing(held=True, loss=loss, limit=loss)
        return Standing(held=False, loss=loss, limit=_largest(bears, loss), floor=floor())

    return standing


def _bears_noise(asked: Budgets, share: float) -> bool:
    return not judge(asked, {"sqnr_db": -10 * math.log10(share) if share else math.inf, "lost_slices": 0}).missed


def _bears_drop(asked: Budgets, measure: Measure, before: float, drop: float) -> bool:
    after = before - drop if measure.wants_more else before + drop
    outputs = {"sqnr_db": math.inf, "lost_slices": 0}
    return not judge(asked, {**metric_measures(measure, before, after), **outputs}).missed


def _largest(bears: Callable[[float], bool], loss: float) -> float:
    """The largest loss that is borne, up to this one; -inf where none is."""
    if not bears(0.0):
        return -math.inf
    least, most = 0.0, loss
    for _ in range(BISECTIONS):
        middle = (least + most) / 2
        least, most = (middle, most) if bears(middle) else (least, middle)
    return most if bears(most) else least
