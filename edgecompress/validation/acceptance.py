"""Acceptance: whether an artifact is within the budgets of its recipe that speak of its outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from edgecompress.arithmetic import Arithmetic
from edgecompress.data.batches import Batches
from edgecompress.progress import Progress
from edgecompress.recipe.budgets import Budgets
from edgecompress.runtime import ALL_CORES, open_session
from edgecompress.validation.budgets import OF_QUALITY, OF_THE_METRIC, judge, metric_measures
from edgecompress.validation.scores import score


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How an artifact stands to its accuracy budgets: true where they hold.

    What misses them is less than what holds them; of two that miss them, the less is that with the larger ``loss``: of
    the metric, in its own unit, or where no budget of it can be measured, of the agreement, in dB below the original's
    own.

    >>> Standing(held=False, loss=9.0) < Standing(held=False, loss=2.0) < Standing(held=True, loss=3.0)
    True
    >>> Standing(held=True, loss=3.0) < Standing(held=True, loss=1.0)
    False
    """

    held: bool
    loss: float

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
    original: ir.Model, budgets: Budgets, evaluation: Batches, progress: Progress, arithmetic: Arithmetic = "exact"
) -> Callable[[ir.Model], Standing]:
    """A test that scores an artifact next to the original and holds it against the budgets.

    The metric counts where the data has labels and a budget of it is set, the agreement where ``min_sqnr_db`` is; a
    slice of an output that went silent counts always. Artifacts run in the ``arithmetic`` of their target.
    """
    asked = Budgets(**{name: getattr(budgets, name) for name in OF_QUALITY})
    reference = open_session(original, ALL_CORES, background=True)

    def standing(artifact: ir.Model) -> Standing:
        tried = open_session(artifact, ALL_CORES, background=True, arithmetic=arithmetic)
        scores = score([reference, tried], evaluation, progress)
        agreement = scores.agreements[1]
        outputs = {"sqnr_db": agreement.sqnr_db, "lost_slices": len(agreement.lost(silent=True))}
        held = not judge(asked, {**metric_measures(evaluation.measure, *scores.values), **outputs}).missed
        drop = evaluation.measure.drop(*scores.values) if _bounds_metric(budgets) else None
        return Standing(held=held, loss=-agreement.sqnr_db if drop is None else drop)

    return standing
