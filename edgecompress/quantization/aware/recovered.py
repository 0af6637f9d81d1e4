"""Training as a pass that wins accuracy back: when it runs, and whether what came out of it is kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import onnx_ir as ir

from edgecompress.calibration import Workers
from edgecompress.data.batches import Batches
from edgecompress.errors import DivergedError
from edgecompress.quantization.aware.agreement import agreed_lowering
from edgecompress.quantization.aware.operators.no_form import NoFormError
from edgecompress.quantization.aware.training import TrainedLowering
from edgecompress.quantization.fallback import Accept
from edgecompress.quantization.lowering import Lowering
from edgecompress.quantization.recovery import Recovered, agreement_of
from edgecompress.recipe.tables import Quantization

Train = Callable[[Lowering], TrainedLowering]
"""From a lowering to what training makes of it."""


def is_to_train(recipe: Quantization, found: Recovered, accept: Accept | None) -> bool:
    """Whether the recipe asks for training: always, or where the accuracy budget does not hold without it."""
    if recipe.training == "if_missed":
        return accept is not None and not accept(found.model)
    return recipe.training == "always"


def assist(workers: Workers, train: Train) -> None:
    """Take part in a training that the first of several processes leads, where that finds that one is needed.

    Args:
        workers: this process among all.
        train: does it; that a training was given up is told by the first process.
    """
    lowering = agreed_lowering(workers, lambda: None)
    if lowering is not None:
        with suppress(NoFormError, DivergedError):
            train(lowering)


def trained(
    original: ir.Model,
    before: Recovered,
    recipe: Quantization,
    train: Train,
    batches: Batches,
    accept: Accept | None,
) -> Recovered:
    """The INT8 model after training, unless that takes it out of its accuracy budget, or further out.

    Where training diverges, the model stays as it was, and a warning says so.

    Args:
        original: the float model that the outputs are compared with.
        before: where training starts.
        recipe: how badly training is wanted.
        train: does it.
        batches: calibration data.
        accept: the budget; None where there is none.

    Raises:
        NoFormError: an operator cannot be trained through, and the recipe asks for training in any case.
    """
    try:
        learned = train(before.lowering)
    except NoFormError as error:
        if recipe.training == "always":
            raise
        return replace(before, changes=(*before.changes, f"not trained: {str(error).partition(';')[0]}"))
    except DivergedError as error:
        why = f"quantization-aware training was given up: {str(error).partition(';')[0]}"
        return replace(before, warnings=(*before.warnings, f"{why}; lower quantization.training_rate"))
    model = learned.lowering.write()
    told = f"trained with the integers in place: {learned.in_words}"
    if accept is not None and accept(model) < accept(before.model):
        return replace(before, changes=(*before.changes, f"{told}; undone, since the model was more accurate before"))
    return Recovered(
        start=learned.lowering,
        lowering=learned.lowering,
        model=model,
        agreement=agreement_of(original, model, batches),
        changes=(*before.changes, told),
    )
