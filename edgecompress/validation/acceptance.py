"""Acceptance: whether an artifact is within the budgets of its recipe that speak of accuracy."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from edgecompress.arithmetic import Arithmetic
from edgecompress.data.batches import Batches
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Budgets
from edgecompress.runtime import ALL_CORES, open_session
from edgecompress.validation.evidence import score


def has_limit(budgets: Budgets, evaluation: Batches) -> bool:
    """Whether a budget speaks of accuracy and the data can measure it."""
    labelled = evaluation.first().labels is not None
    return budgets.min_sqnr_db is not None or (budgets.max_accuracy_drop is not None and labelled)


def accuracy_test(
    original: ir.Model, budgets: Budgets, evaluation: Batches, progress: Progress, arithmetic: Arithmetic = "exact"
) -> Callable[[ir.Model], bool]:
    """A test that scores an artifact beside the original and holds it against the budgets.

    The drop of accuracy counts where the data has labels and ``max_accuracy_drop`` is set, the agreement
    where ``min_sqnr_db`` is; a slice of an output that went silent counts always. Artifacts run in the ``arithmetic``
    of their target.
    """
    reference = open_session(original, ALL_CORES, background=True)

    def within(artifact: ir.Model) -> bool:
        tried = open_session(artifact, ALL_CORES, background=True, arithmetic=arithmetic)
        scores = score([reference, tried], evaluation, progress)
        before, after = (tally.percent for tally in scores.tallies)
        drop = None if before is None or after is None else before - after
        loses = drop is not None and budgets.max_accuracy_drop is not None and drop > budgets.max_accuracy_drop
        differs = budgets.min_sqnr_db is not None and scores.agreements[1].sqnr_db < budgets.min_sqnr_db
        return not loses and not differs and not scores.agreements[1].lost(silent=True)

    return within
