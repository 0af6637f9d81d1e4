"""Training as a recipe asks for it: the recovery of a network that lost channels, and the teaching of a student."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from torch import nn

from edgecompress.errors import plural
from edgecompress.loading.losses import open_loss
from edgecompress.recipe.tables import Distillation, Recipe
from edgecompress.techniques.block_hints import block_hints
from edgecompress.techniques.checkpoints import TEACHER_OUTPUTS
from edgecompress.techniques.context import Context
from edgecompress.training import (
    AUGMENTATIONS,
    AttentionTransfer,
    FeatureTerm,
    Hint,
    Relational,
    Settings,
    Task,
    Trained,
    reestimate_batch_norm,
    task_of,
    teach,
)

STATISTICS_BATCHES = 64
"""Batches that batch-norm statistics are re-estimated from, at most."""


def recover(model: nn.Module, context: Context, epochs: int, checkpoints: Path | None) -> nn.Module:
    """A network after what the data allows: training, or else statistics of batch norm estimated anew.

    Args:
        model: not modified.
        context: its data, and the teacher whose outputs the network learns where ``training.teacher`` is on.
        epochs: of training.
        checkpoints: folder that a killed run goes on from.
    """
    model = settle(model, context)
    if context.streams.train is None or not epochs:
        return model
    return fine_tune(model, learned_in_recovery(context.recipe), context, epochs, checkpoints).model


def learned_in_recovery(recipe: Recipe) -> Distillation:
    """What a network that was made smaller learns of its teacher: nothing where ``training.teacher`` is off."""
    return recipe.distillation if recipe.training.teacher else Distillation(alpha=0)


def learned_by(recipe: Recipe) -> tuple[Distillation, ...]:
    """What the trainings of a recipe learn of the teacher, a table for each kind; none where it trains for no epoch.

    >>> from edgecompress.recipe.tables import Pruning
    >>> learned_by(Recipe(pruning=Pruning(enabled=True), distillation=Distillation(alpha=0.9)))[0].alpha
    0.9
    """
    recovers = any(name in recipe.techniques for name in ("pruning", "low_rank")) and recipe.training.epochs > 0
    rounds = "quantization" in recipe.techniques and recipe.quantization.training != "never"
    distils = "distillation" in recipe.techniques and recipe.training.epochs > 0
    return (learned_in_recovery(recipe),) * (recovers or rounds) + (recipe.distillation,) * distils


def recovery_planned(recipe: Recipe) -> str:
    """What a plan says of the training after a step; nothing where the recipe trains for no epoch.

    >>> from edgecompress.recipe.tables import Training
    >>> recovery_planned(Recipe(training=Training(epochs=4)))
    '; 4 epochs of training where there is data'
    >>> recovery_planned(Recipe(training=Training(epochs=1, loss="l1")))
    '; 1 epoch of training by l1 where there is data'
    """
    epochs, loss = recipe.training.epochs, recipe.training.loss
    by = "" if loss is None else f" by {loss}"
    return f"; {epochs_in_words(epochs)} of training{by} where there is data" if epochs else ""


def epochs_in_words(count: int) -> str:
    """``4 epochs``, ``1 epoch``."""
    return plural(count, "epoch")


def untrained(what: str, context: Context) -> tuple[str, ...]:
    """The warning of a step whose network could not train."""
    if context.streams.train is None:
        return (untrained_in_words(what),)
    return ()


def untrained_in_words(what: str) -> str:
    """The same before the step and after it, so that it is said once.

    >>> untrained_in_words("pruned")
    'there is no training data (--train): the pruned network is not trained to recover'
    """
    return f"there is no training data (--train): the {what} network is not trained to recover"


def settle(model: nn.Module, context: Context) -> nn.Module:
    """The network with the statistics of its batch norms estimated anew, where there is data."""
    data = context.streams.train or context.streams.calibration
    return model if data is None else reestimate_batch_norm(model, islice(data, STATISTICS_BATCHES), context.progress)


def fine_tune(
    model: nn.Module, learned: Distillation, context: Context, epochs: int, checkpoints: Path | None
) -> Trained:
    """Train a copy of a network; without ``training.patience`` the evaluation data is not looked at.

    Args:
        model: not modified.
        learned: how much of the teacher it learns, and from which layers.
        context: the teacher, the data, and how training runs.
        epochs: passes over the training data.
        checkpoints: folder that a killed run goes on from.
    """
    training, streams = context.recipe.training, context.streams
    settings = settings_for(context.recipe, epochs)
    assert streams.train is not None
    return teach(
        model,
        context.teaching,
        streams.train,
        settings,
        task_for(learned, context),
        features=(*asked_terms(learned), *block_hints(model, learned.block_weight, context)),
        cache=context.checkpoint(TEACHER_OUTPUTS) if learned.cache else None,
        evaluation=None if training.patience is None else streams.evaluation,
        checkpoints=checkpoints,
        progress=context.progress,
    )


def settings_for(recipe: Recipe, epochs: int) -> Settings:
    """How a recipe trains, for so many passes over the training data."""
    training = recipe.training
    return Settings(
        epochs=epochs,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        average_decay=training.average_decay,
        accumulation=training.accumulation,
        max_gradient_norm=training.max_gradient_norm,
        augment=AUGMENTATIONS[training.augmentation],
        patience=training.patience,
        seed=recipe.seed,
    )


def task_for(learned: Distillation, context: Context) -> Task:
    """What the outputs lose: against the targets by the loss of the recipe, and against the teacher's.

    Raises:
        RecipeError: there is no such loss, or it cannot be made.
    """
    training, train = context.recipe.training, context.streams.train
    return task_of(
        open_loss(training, context.loss),
        learned.temperature,
        learned.alpha,
        None if train is None else train.class_axis,
        ignore_index=training.ignore_index,
        output_weights=learned.output_weights,
    )


def asked_terms(learned: Distillation) -> tuple[FeatureTerm, ...]:
    """The terms on layers that a recipe names, as NAME or STUDENT=TEACHER.

    >>> asked_terms(Distillation(hints=("layer1", "layer2=layer4"))) == (Hint("layer1"), Hint("layer2", "layer4"))
    True
    """
    return (
        *(Hint(*pair, weight=learned.hint_weight) for pair in map(_pair, learned.hints)),
        *(AttentionTransfer(*pair, weight=learned.attention_weight) for pair in map(_pair, learned.attention)),
        *(
            Relational(*pair, distance_weight=learned.relation_weight, angle_weight=2 * learned.relation_weight)
            for pair in map(_pair, learned.relations)
        ),
    )


def _pair(text: str) -> tuple[str, str | None]:
    student, _, teacher = text.partition("=")
    return student.strip(), teacher.strip() or None
