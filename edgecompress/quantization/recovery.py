"""Recovery: passes that win accuracy back, each kept only where the calibration data shows that it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

import onnx_ir as ir

from edgecompress.data.batches import Batches
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.bias_correction import correct_biases
from edgecompress.quantization.lowering import Lowering
from edgecompress.quantization.rounding import round_adaptively
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import ALL_CORES, open_session, run_session

PROBED_BATCHES = 16
"""Calibration batches on which a pass has to prove itself."""

Pass = Callable[[Lowering, Batches, Progress], Lowering]
PASSES: dict[str, Pass] = {"adaround": round_adaptively, "bias_correction": correct_biases}
"""Passes by the key of the recipe that turns each on, in the order in which they run."""


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """A lowering from its start to where it is now.

    ``agreement`` is that of its INT8 model with the float one; ``changes`` tell what was done in between, and
    ``warnings`` what could not be.
    """

    start: Lowering
    lowering: Lowering
    model: ir.Model
    agreement: Agreement
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def recover(
    original: ir.Model, lowering: Lowering, recipe: Quantization, batches: Batches, progress: Progress
) -> Recovered:
    """Run the passes that the recipe turns on; one after which the outputs agree less is undone, and says so.

    Args:
        original: the float model that the outputs are compared with.
        lowering: where the passes start.
        recipe: turns passes on.
        batches: calibration data.
        progress: told of every batch.
    """
    model = lowering.write()
    best = Recovered(start=lowering, lowering=lowering, model=model, agreement=agreement_of(original, model, batches))
    for key, run in PASSES.items():
        if getattr(recipe, key):
            tried = run(best.lowering, batches, progress)
            model = tried.write()
            after = replace(best, lowering=tried, model=model, agreement=agreement_of(original, model, batches))
            best = _better(key.replace("_", " "), best, after)
    return best


def agreement_of(original: ir.Model, quantized: ir.Model, batches: Batches) -> Agreement:
    """Agreement of the outputs of two models on the first calibration batches."""
    sessions = [open_session(model, ALL_CORES, background=True) for model in (original, quantized)]
    total = Agreement()
    for batch in islice(batches, PROBED_BATCHES):
        reference, actual = (run_session(session, batch.inputs) for session in sessions)
        total = total.merge(Agreement.between(reference, actual))
    return total


def _better(name: str, before: Recovered, after: Recovered) -> Recovered:
    won, lost = after.agreement.sqnr_db, before.agreement.sqnr_db
    kept = after if won > lost else before
    told = f"{name}: {lost:.1f} -> {won:.1f} dB on the calibration data{'' if kept is after else ', undone'}"
    return replace(kept, changes=(*before.changes, told))
