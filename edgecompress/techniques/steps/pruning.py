"""The step that prunes channels: cut, and let the network recover, as often as the schedule says."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from edgecompress.errors import plural
from edgecompress.recipe.tables import Recipe
from edgecompress.step import Step, StepResult
from edgecompress.system.randomness import own_randomness, seed_all
from edgecompress.techniques.context import Context
from edgecompress.techniques.cutting import cut, examine_network, narrower_layers
from edgecompress.techniques.figures import costs, reached
from edgecompress.techniques.fine_tuning import recover, recovery_planned, untrained
from edgecompress.techniques.shallow import shallower, share_gone
from edgecompress.training import SCHEDULES

SPREADS = {
    "uniform": "uniformly",
    "global": "by importance over all layers",
    "latency": "where they buy most time",
    "sensitivity": "where the outputs suffer least",
}


def plan_steps(recipe: Recipe, _teacher: nn.Module | None) -> tuple[Step, ...]:
    """The step that prunes, and lets the network recover."""
    return (Step(name="prune", what=_sentence(recipe), run=prune_channels, shared=True),)


def _sentence(recipe: Recipe) -> str:
    pruning = recipe.pruning
    share, goal = f"{100 * pruning.amount:.6g}%", _goal(recipe)
    what = f"{share} fewer {goal}" if goal != "latency" else f"{share} less latency{recipe.device.where}"
    shallower = f"{100 * pruning.blocks:.6g}% of the residual blocks go first; " if pruning.blocks else ""
    spared = {"keep": " inside of blocks", "auto": ", inside of blocks where that suffices,"}
    inside = "" if (pruning.residual, pruning.goal) == ("auto", "channels") else spared.get(pruning.residual, "")
    channels = f"channels{inside}"
    how = (
        f"{channels} go {SPREADS[pruning.spread]}, in multiples of {pruning.multiple}, least {pruning.importance} first"
    )
    if pruning.method == "block":
        what, how = f"{share} of the residual blocks", "those go that change least"
    times = f"; {plural(pruning.steps, 'step')}, {pruning.schedule.replace('_', ' ')}" if pruning.steps > 1 else ""
    return f"{what}; {shallower}{how}{times}{recovery_planned(recipe)}"


def _goal(recipe: Recipe) -> str:
    """What is to be less."""
    return "MACs" if recipe.pruning.goal == "macs" else recipe.pruning.goal


def prune_channels(module: nn.Module, context: Context) -> StepResult[nn.Module]:
    """Prune a network and let it recover.

    Args:
        module: not modified; in evaluation mode.
        context: the recipe, an example batch, the data to recover on, and where checkpoints go.

    Raises:
        ModelError: the network cannot be captured.
        RecipeError: nothing can be pruned, or the goal cannot be met.
        DataError: the recipe needs data that is not there, or the data does not fit.
    """
    with own_randomness():  # data that are drawn at random are drawn alike in a run that goes on after a kill
        return _prune(module, context)


def _prune(module: nn.Module, context: Context) -> StepResult[nn.Module]:
    seed_all("prune", context.recipe.seed)
    before = examine_network(module, context)
    model = shallower(module, context)
    subject, refusals = before if model is module else examine_network(model, context), before.refusals
    for number, (share, epochs) in enumerate(planned_cuts(context.recipe, share_gone(module, model, context)), 1):
        seed_all("prune", context.recipe.seed, number)
        with context.progress.step(f"pruning {share:.0%} of the {_goal(context.recipe)}"):
            pruned = cut(subject, share, str(number), context)
        seed_all("prune", context.recipe.seed, number, "recover")
        model = recover(pruned.model, context, epochs, context.checkpoint(f"training-{number}"))
        subject, refusals = examine_network(model, context), pruned.refusals
    return StepResult(
        model=model,
        changes=narrower_layers(before, subject),
        refusals=refusals,
        warnings=untrained("pruned", context),
        metrics={
            **costs("original", module, context),
            **costs("pruned", model, context),
            **reached("pruned", model, context),
        },
    )


def planned_cuts(recipe: Recipe, done: float) -> Iterator[tuple[float, int]]:
    """The share of what is left that goes in each cut, and the epochs of training after it.

    Args:
        recipe: its schedule, amount, steps and epochs.
        done: the share of the whole that is gone already, in [0, 1).
    """
    pruning, epochs = recipe.pruning, recipe.training.epochs
    amounts = list(dict.fromkeys(SCHEDULES[pruning.schedule](pruning.amount, pruning.steps)))
    for index, amount in enumerate(amounts):
        own = epochs * (index + 1) // len(amounts) - epochs * index // len(amounts)
        yield max(1 - (1 - amount) / (1 - done), 0.0), own
        done = max(amount, done)
