"""The step that factorizes: layers become thinner ones in a row, and the network recovers."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from edgecompress.low_rank.factorize import factorize
from edgecompress.low_rank.request import LowRankRequest
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import tensors
from edgecompress.step import Step, StepResult
from edgecompress.system.randomness import own_randomness, seed_all
from edgecompress.targets.cpus import threads_here
from edgecompress.techniques.choices import chosen_once
from edgecompress.techniques.context import Context
from edgecompress.techniques.figures import reached
from edgecompress.techniques.fine_tuning import recover, recovery_planned, untrained
from edgecompress.training.checkpoint import fingerprint


def plan_steps(recipe: Recipe, _teacher: nn.Module | None) -> tuple[Step, ...]:
    """The step that factorizes, and lets the network recover."""
    return (Step(name="factorize", what=_sentence(recipe), run=factorize_layers, shared=True),)


def _sentence(recipe: Recipe) -> str:
    asked = recipe.low_rank
    goals = {
        "macs": f"{asked.amount:.0%} fewer MACs",
        "parameters": f"{asked.amount:.0%} fewer parameters",
        "latency": f"{asked.amount:.0%} less latency{recipe.device.where}",
        "energy": f"{asked.energy:.0%} of each layer's energy",
        "ratio": f"{asked.rank_ratio:.0%} of each layer's rank",
    }
    weighed = "errors weighed by calibration data" if asked.whitening else "errors of the weights"
    what = f"{goals[asked.goal]}; layers become two or three thinner ones, ranks in multiples of {asked.multiple}"
    return f"{what}, {weighed}{recovery_planned(recipe)}"


def factorize_layers(module: nn.Module, context: Context) -> StepResult[nn.Module]:
    """Decompose the layers for which it pays, and let the network recover.

    Args:
        module: not modified; in evaluation mode.
        context: the recipe, the calibration data that errors are weighed by, and the training data to recover on.

    Raises:
        RecipeError: no layer can be decomposed, or the goal cannot be met.
        ModelError: the network does not run, or holds weights that are not finite.
        DataError: the data does not fit.
    """
    with own_randomness():
        seed_all("factorize", context.recipe.seed)
        recipe, streams = context.recipe, context.streams
        example = context.example.sample(recipe.export.batch_size or 1)
        samples = (streams.calibration or streams.train) if recipe.low_rank.whitening else None
        request = request_of(recipe)
        key = fingerprint(module, context.fixed, tensors(example.inputs))
        result = factorize(
            module,
            request,
            example,
            samples=samples or (),
            progress=context.progress,
            agree=lambda choose: chosen_once(context.choice("ranks"), key, choose),
            clock=context.clock,
        )
        seed_all("factorize", recipe.seed, "recover")
        model = recover(result.model, context, recipe.training.epochs, context.checkpoint("factorizing"))
        metrics = {**result.metrics, **reached("factorized", model, context)}
        return replace(result, model=model, metrics=metrics, warnings=untrained("factorized", context))


def request_of(recipe: Recipe) -> LowRankRequest:
    """What the ``low_rank`` table asks for.

    >>> from edgecompress.recipe.tables import LowRank
    >>> request_of(Recipe(low_rank=LowRank(goal="energy", energy=0.9))).energy
    0.9
    """
    asked = recipe.low_rank
    return LowRankRequest(
        rank_ratio=asked.rank_ratio,
        energy=asked.energy if asked.goal == "energy" else None,
        goal=None if asked.goal == "ratio" or asked.goal == "energy" else asked.goal,
        amount=asked.amount,
        multiple=asked.multiple,
        include=asked.include,
        protect=asked.protect,
        threads=threads_here(recipe.cpu.threads),
    )
