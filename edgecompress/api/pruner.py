"""The front end for pruning: a model in, a copy of it with fewer weights out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from edgecompress.axes.classes import settle_streams
from edgecompress.data.splits import Streams
from edgecompress.errors import ModelError
from edgecompress.loading.losses import LossOrName
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.loading.opened import open_together
from edgecompress.loading.sources import Data
from edgecompress.modules.checks import check_module
from edgecompress.modules.copies import copied
from edgecompress.modules.plain import plain_copy
from edgecompress.progress import Progress
from edgecompress.pruning.channels.selection import Goal, Residual, Spread
from edgecompress.pruning.counts import compare, count
from edgecompress.pruning.criterion import Criterion
from edgecompress.pruning.masks.layers import last_classifier
from edgecompress.pruning.masks.mask import make_permanent, set_mask
from edgecompress.pruning.masks.patterns import check_pattern, keep_pattern
from edgecompress.pruning.masks.selection import check_choice, select
from edgecompress.pruning.masks.sparsity import (
    Scope,
    check_scope,
    check_sparsity,
    keep_highest,
    magnitude_scores,
    random_scores,
    seeded_generator,
)
from edgecompress.pruning.masks.weights import Weight, check_finite, find_weights
from edgecompress.pruning.reload.configuration import tell_configurations
from edgecompress.pruning.reload.saving import save_pruned
from edgecompress.recipe.arguments import argument_words, named_as_arguments, names
from edgecompress.recipe.meant import text_as_meant
from edgecompress.recipe.tables import Pruning, Recipe, Training
from edgecompress.recipe.wording import caller_warnings, in_python_words
from edgecompress.step import Refusal, StepResult
from edgecompress.techniques.context import Context
from edgecompress.techniques.steps.pruning import prune_channels

Method = Literal["filter", "channel", "block"]
Chosen = tuple[tuple[Weight, ...], tuple[Refusal, ...]]
WORDS = {"(--train)": "(data)", "inspect lists": "model.named_modules() has"}
"""What one says on the command line, and of a pruner."""


class ModelPruner:
    """Prunes a copy of a model, :attr:`model`; the model that was given is never modified.

    Weights of convolutions, linear layers and attention are pruned. Embeddings and the last classifier are protected:
    the last linear layer or convolution to run on the example inputs, without them the last to be defined. ``include``
    names modules that are pruned all the same, ``protect`` modules that are not; ``*`` is a wildcard, and a module
    stands for all that is in it.

    Masks hold what they pruned at zero while :attr:`model` is trained, and are part of its ``state_dict``. A later call
    counts what an earlier one pruned: the share is of the whole tensor. :meth:`save` stores the model, and
    :func:`load_pruned` loads it.

    Args:
        model: of floating-point weights, on any device.
        example_inputs: a tensor, a tuple of inputs, or a dict by input name; without them there are no MACs.

    Raises:
        ModelError: it is no module, has no values yet, cannot be copied, or does not run on the inputs.

    >>> pruner = ModelPruner(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)))
    >>> pruner.magnitude_pruning(0.5).changes
    ('0.weight: 32 of 64 weights are zero',)
    >>> pruner.get_sparsity()
    0.5
    """

    @in_python_words
    def __init__(self, model: nn.Module, example_inputs: Any = None) -> None:
        plain = plain_copy(check_module(model))
        self.model, self._folded = plain.model, plain.changes
        self._example_inputs = example_inputs
        self._classifier = last_classifier(self.model, example_inputs)
        self._original = count(self.model, example_inputs)
        self._pruned: frozenset[str] = frozenset()

    @in_python_words
    def magnitude_pruning(
        self,
        sparsity: float,
        *,
        scope: Scope = "local",
        include: Sequence[str] = (),
        protect: Sequence[str] = (),
    ) -> StepResult[nn.Module]:
        """Prune the smallest weights: exactly ``round(sparsity * number)`` are zero afterwards.

        Args:
            sparsity: in [0, 1).
            scope: the share is of each tensor (``local``) or of all together (``global``), which then can lose more or
                less than that each, down to nothing.
            include: modules to prune although they are protected.
            protect: modules to leave.

        Raises:
            RecipeError: an argument is wrong, or names a module that is not there or cannot be pruned.
            ModelError: nothing can be pruned, or a weight is NaN or infinite. In both cases nothing was changed.
        """
        share, scope = check_sparsity(sparsity), check_scope(scope)
        chosen = self._choose(include, protect)
        scores = [magnitude_scores(weight.value, weight.keep) for weight in chosen[0]]
        return self._mask(chosen, keep_highest(scores, share, scope))

    @in_python_words
    def random_pruning(
        self,
        sparsity: float,
        *,
        seed: int = 0,
        scope: Scope = "local",
        include: Sequence[str] = (),
        protect: Sequence[str] = (),
    ) -> StepResult[nn.Module]:
        """Prune random weights; the same seed gives the same masks. Weights that are zero already count as pruned.

        The other arguments and the errors are those of :meth:`magnitude_pruning`.

        Args:
            seed: a whole number in [0, 2^63).
        """
        share, scope, generator = check_sparsity(sparsity), check_scope(scope), seeded_generator(seed)
        chosen = self._choose(include, protect)
        scores = [random_scores(weight.value, weight.keep, generator) for weight in chosen[0]]
        return self._mask(chosen, keep_highest(scores, share, scope))

    @in_python_words
    def pattern_pruning(
        self, n: int = 2, m: int = 4, *, include: Sequence[str] = (), protect: Sequence[str] = ()
    ) -> StepResult[nn.Module]:
        """Keep the ``n`` largest of every ``m`` weights that follow each other along a layer's inputs.

        Input channels of a convolution, input features of a linear layer. A remainder of fewer than ``m`` counts as
        padded with zeros and keeps up to ``n``. The other arguments and the errors are those of
        :meth:`magnitude_pruning`.

        Args:
            n: weights to keep, from 1 to ``m``.
            m: weights that follow each other.
        """
        n, m = check_pattern(n, m)
        chosen = self._choose(include, protect)
        keep = [
            keep_pattern(
                magnitude_scores(weight.value, weight.keep),
                n,
                m,
                axis=weight.layout.input_axis,
                stretches=weight.layout.stretches,
            )
            for weight in chosen[0]
        ]
        return self._mask(chosen, keep)

    @in_python_words
    def structured_pruning(
        self,
        method: Method = "filter",
        amount: float = 0.5,
        *,
        goal: Goal = "channels",
        spread: Spread = "uniform",
        importance: str | Criterion = "l2",
        multiple: int = 1,
        residual: Residual = "auto",
        protect: Sequence[str] = (),
        data: Data | None = None,
        loss: LossOrName | None = None,
    ) -> StepResult[nn.Module]:
        """Remove channels, or blocks, from the network, with everything that depends on them.

        Args:
            method: the weights that the importance of a channel comes from: those that make it (``filter``), those
                that read it (``channel``); or ``block``, which removes residual blocks and keeps their shortcuts.
            amount: in [0, 1), a share of the goal's measure.
            goal: channels, multiply-accumulates, parameters, or latency in ONNX Runtime.
            spread: the same share of every layer, by importance over all, or where it buys most time.
            importance: which channels of a layer go first: the name of a criterion, as ``pruning.importance`` of a
                recipe takes it, or a function of one's own (:data:`edgecompress.pruning.criterion.Criterion`).
            multiple: a layer keeps a multiple of so many channels.
            residual: whether the channels that residual additions join go too (``prune``), or only those inside of
                blocks (``keep``), or these where they suffice (``auto``; for a share of the channels they do not).
            protect: layers whose channels stay.
            data: labelled batches, for criteria that need gradients (``taylor``), for the spread ``sensitivity``, and
                to estimate batch norms anew on.
            loss: whose gradients count, as :func:`edgecompress.compress` takes it; by default cross entropy.

        Raises:
            RecipeError: an argument is wrong, nothing can be pruned, or the goal cannot be met; it says what can.
            ModelError: there are no example inputs, or the network cannot be captured.
            DataError: the criterion or the spread needs data. In each case nothing was changed.
        """
        if self._example_inputs is None:
            raise ModelError("structured pruning needs example_inputs; give them to ModelPruner")
        tables: dict[str, Any] = {
            "amount": amount,
            "goal": goal,
            "spread": spread,
            **({} if callable(importance) else {"importance": importance}),
            "method": method,
            "multiple": multiple,
            "residual": residual,
            "protect": names("protect", protect),
        }
        tables = {key: text_as_meant(f"pruning.{key}", value) for key, value in tables.items()}
        with named_as_arguments("pruning", WORDS):
            recipe = Recipe(pruning=Pruning(enabled=True, **tables), training=Training(epochs=0))
            with named_as_arguments("training"):
                recipe = MeasuredBy(loss=loss).named_in(recipe)
            given = {"criterion": importance if callable(importance) else None, "loss": loss}
            result = _prune_channels(self.model, self._example_inputs, recipe, data, given)
        tell_configurations(self.model, result.model)
        self.model = result.model
        self._classifier = last_classifier(self.model, self._example_inputs)
        warnings = tuple(argument_words(warning, "pruning", WORDS) for warning in result.warnings)
        return replace(result, changes=(*self._folded, *result.changes), warnings=warnings)

    @in_python_words
    def apply_masks(self) -> StepResult[nn.Module]:
        """Make the masks permanent: plain weights with zeros in them, which training may revive.

        Raises:
            ModelError: a weight has a mask and another parametrization.
        """
        names = make_permanent(self.model)
        return StepResult(model=self.model, changes=tuple(f"{name}: its zeros are permanent" for name in names))

    @in_python_words
    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write :attr:`model` into one file, without pickle: tensors, and what pruning made of the network's sizes.

        It is a safetensors file, written whole or not at all; the same model gives the same bytes. It holds parameters
        and buffers, masks, which blocks were removed and which layers low rank replaced, and what sizes the modules
        have; :func:`load_pruned` loads it into an instance of the class.

        Args:
            path: of the file, ``.safetensors`` by custom.
            overwrite: replace a file that is there.

        Raises:
            OutputError: the file exists, or cannot be written; what was there stays.
            ModelError: the model holds what no such file can: extra state of a module, tensors of dtypes that
                safetensors does not know, or a mask next to another parametrization.
        """
        save_pruned(self.model, path, overwrite=overwrite)

    @in_python_words
    def get_sparsity(self) -> float:
        """The share of zeros, 0 to 1, among the prunable weights.

        Those are the weights of convolutions, linear layers and attention, whether or not a call protected them; of
        embeddings and the last classifier those that were pruned.
        """
        weights = self._prunable()
        total = sum(weight.value.numel() for weight in weights)
        return sum(_zeros(weight) for weight in weights) / total if total else 0.0

    @in_python_words
    def layer_sparsity(self) -> dict[str, float]:
        """The share of zeros in each prunable weight, by the name of the weight."""
        return {weight.name: _zeros(weight) / max(weight.value.numel(), 1) for weight in self._prunable()}

    @in_python_words
    def stats(self) -> dict[str, float | int | None]:
        """What the model was, and what it is.

        Returns:
            The figures of :func:`~edgecompress.pruning.counts.compare`, among them ``original_params``,
            ``current_params`` and ``compression_ratio``; and ``sparsity``, that of :meth:`get_sparsity`.
        """
        figures = compare(self._original, count(self.model, self._example_inputs))
        return {**figures, "sparsity": self.get_sparsity()}

    def _choose(self, include: Any, protect: Any) -> Chosen:
        weights, unknown = find_weights(self.model, self._classifier)
        chosen, protected = select(weights, check_choice(self.model, weights, unknown, include, protect))
        for weight in chosen:
            check_finite(weight)
        return chosen, unknown + protected

    def _mask(self, chosen: Chosen, keep: Sequence[Tensor]) -> StepResult[nn.Module]:
        weights, refusals = chosen
        for weight, kept in zip(weights, keep, strict=True):
            set_mask(weight.holders, kept)
        self._pruned |= {weight.name for weight in weights}
        changes = [f"{weight.name}: {_zeros(weight)} of {weight.value.numel()} weights are zero" for weight in weights]
        metrics = {"sparsity": self.get_sparsity()}
        return StepResult(model=self.model, changes=(*self._folded, *changes), refusals=refusals, metrics=metrics)

    def _prunable(self) -> list[Weight]:
        weights, _ = find_weights(self.model, self._classifier)
        return [weight for weight in weights if weight.role == "layer" or weight.masked or weight.name in self._pruned]


def _prune_channels(
    model: nn.Module, inputs: Any, recipe: Recipe, data: Data | None, handed_over: Mapping[str, Any]
) -> StepResult[nn.Module]:
    """The step of the pipeline, on a model that keeps its own way of being called."""
    several = isinstance(inputs, (tuple, list, Mapping))
    given = {"example": [(inputs if several else (inputs,), None)], **({} if data is None else {"train": data})}
    opened = open_together(model, given, recipe)
    recipe, example, streams = opened.recipe, opened.first(), Streams(train=opened.batches.get("train"))
    wrapped = opened.network is not model
    modes = {path: part.training for path, part in opened.module.named_modules()}
    named = copied(opened.module).eval()
    streams = settle_streams(named, streams, recipe.evaluation.class_axis, caller_warnings())
    fixed = recipe.model_copy(update={"export": recipe.export.model_copy(update={"batch_size": example.rows})})
    context = Context(
        original=named,
        teacher=named,
        recipe=fixed,
        example=example,
        streams=streams,
        checkpoints=None,
        progress=Progress(),
        **handed_over,
    )
    result = prune_channels(named, context)
    for path, part in result.model.named_modules():
        part.training = modes.get(path, result.model.training)
    return replace(result, model=result.model.get_submodule("module")) if wrapped else result


def _zeros(weight: Weight) -> int:
    value = weight.value
    return value.numel() - int(torch.count_nonzero(value))
