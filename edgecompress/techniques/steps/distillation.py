"""The step that distils: a student learns what its teacher says, and the labels (Hinton et al., 2015)."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from edgecompress.errors import RecipeError, plural
from edgecompress.recipe.tables import Recipe
from edgecompress.step import Step, StepResult
from edgecompress.system.randomness import own_randomness, seed_all
from edgecompress.techniques.context import Context
from edgecompress.techniques.cutting import examine_network, narrower_layers
from edgecompress.techniques.figures import costs, reached
from edgecompress.techniques.fine_tuning import epochs_in_words, fine_tune, settle
from edgecompress.techniques.student import NO_LATENCY_BUDGET, Student, derive_student, derives_student
from edgecompress.training import Trained


def plan_steps(recipe: Recipe, teacher: nn.Module | None) -> tuple[Step, ...]:
    """The step in which a student learns.

    Raises:
        RecipeError: a student would be derived, and there is no latency budget.
    """
    derives = derives_student(recipe, teacher)
    if derives and not recipe.budgets.bound_latency:
        raise RecipeError(NO_LATENCY_BUDGET)
    distillation = recipe.distillation
    student = "a student derived for the latency budgets" if derives else "the model"
    taught = "the original" if teacher is None else type(teacher).__name__
    mix = f"temperature {distillation.temperature:g}, {distillation.alpha:.0%} teacher"
    what = f"{student} learns for {epochs_in_words(recipe.training.epochs)} what {taught} says; {mix}"
    return (Step(name="distill", what=what, run=distill, shared=True),)


def distill(module: nn.Module, context: Context) -> StepResult[nn.Module]:
    """Train a student on the outputs of the teacher.

    The network is the student where a teacher was given, or an earlier technique made it smaller. Otherwise it is the
    teacher, and a student is derived from it, fast enough for the latency budgets.

    Args:
        module: not modified; in evaluation mode.
        context: the recipe, the teacher, the training data, and where checkpoints go.

    Raises:
        RecipeError: a student has to be derived, and there is no latency budget, or it cannot be met.
        ModelError: the outputs of student and teacher have different shapes, or a network fails.
        DataError: the data does not fit, or the loss is not finite.
    """
    with own_randomness():
        seed_all("distill", context.recipe.seed)
        # The network is the teacher itself where nothing changed it and no other network came to teach.
        derived = derive_student(module, context) if module is context.teacher else None
        seed_all("distill", context.recipe.seed, "settle")
        student = module if derived is None else settle(derived.model, context)
        recipe = context.recipe
        epochs, checkpoints = recipe.training.epochs, context.checkpoint("distilling")
        trained = fine_tune(student, recipe.distillation, context, epochs, checkpoints)
        return StepResult(
            model=trained.model,
            changes=tuple(_changes(derived, trained, context)),
            refusals=() if derived is None else derived.refusals,
            warnings=(SLOW,) if derived is not None and derived.slow else (),
            metrics={
                **costs("original", context.teaching, context),
                **costs("student", trained.model, context),
                **reached("student", trained.model, context),
            },
        )


TOO_COARSE = "with those of 'pruning.multiple' no student is fast enough"
SLOW = "no student that was tried is as fast as the latency budgets ask; the smallest was taught"


def _changes(derived: Student | None, trained: Trained, context: Context) -> Iterator[str]:
    if derived is not None:
        if derived.multiple != context.recipe.pruning.multiple:
            yield f"layers keep multiples of {derived.multiple} channels: {TOO_COARSE}"
        yield from narrower_layers(*(examine_network(module, context) for module in (context.teaching, derived.model)))
    first, last = trained.history[0], trained.history[-1]
    yield f"learned for {plural(last.number, 'epoch')}, the loss from {first.loss:.4f} to {last.loss:.4f}"
