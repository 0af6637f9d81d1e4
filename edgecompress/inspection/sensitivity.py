"""Sensitivity: what a model loses when only one layer is quantized, or has half of its channels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import onnx_ir as ir
from torch import nn

from edgecompress.arrays import Array
from edgecompress.calibration import collect
from edgecompress.data.batches import Batch, Batches
from edgecompress.errors import DataError, EdgecompressError
from edgecompress.exporters.canonicalize import prepare_for_integers
from edgecompress.metrics.metric import Measure
from edgecompress.metrics.slices import IDENTICAL_DB
from edgecompress.modules.plain import plain_copy
from edgecompress.pipeline.fold import convert
from edgecompress.progress import Progress
from edgecompress.pruning.channels.importance import score
from edgecompress.pruning.channels.sensitivity import noise_without
from edgecompress.pruning.channels.structured import Subject, examine
from edgecompress.pruning.channels.widths import choose, rounded
from edgecompress.pruning.structure.groups import Group, layer_name, producers
from edgecompress.quantization.kept_float import kept_float
from edgecompress.quantization.lowering import lower, schemes
from edgecompress.quantization.placement import place
from edgecompress.quantization.sensitivity import DropOf, Sensitivity, rank_layers
from edgecompress.recipe.tables import Pruning, Quantization, Recipe
from edgecompress.runtime import ALL_CORES, Network, execute, open_session, signature, tensors
from edgecompress.techniques.context import Context
from edgecompress.validation.scores import score as score_sessions

Outputs = Sequence[Sequence[Array]]
SHARE = 0.5
"""What is left of a layer's channels."""
UNKNOWN = "it came about in the export, and is no layer of the module"
ROWS = 128
"""Samples at most that the pruned networks are judged on, and their batch norms estimated anew."""


@dataclass(frozen=True, kw_only=True)
class Halved:
    """A layer with half of its channels; the layers of its ``group`` have channels in common with it, and lose those.

    ``sqnr_db`` is the agreement of the outputs with the whole network's; None where the layer cannot be pruned, for the
    ``reason``.
    """

    group: tuple[str, ...] = ()
    sqnr_db: float | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class LayerSensitivity:
    """One layer: ``quantized`` is None where it has no integer form, ``halved`` where the model is no PyTorch
    module: nothing else can be pruned.
    """

    name: str
    kind: str
    quantized: Sensitivity | None
    halved: Halved | None


@dataclass(frozen=True, kw_only=True)
class Sensitivities:
    """Every layer that can be quantized or pruned, the one whose return to float pays most first.

    ``measure`` is the metric that was measured, too; None where there was no evaluation data.
    """

    layers: tuple[LayerSensitivity, ...]
    measure: Measure | None = None

    def document(self) -> list[dict[str, Any]]:
        """The layers as plain data, for JSON."""
        return [asdict(layer) for layer in self.layers]


def layer_sensitivity(
    network: Network, recipe: Recipe, batches: Batches, progress: Progress, evaluation: Batches | None = None
) -> list[LayerSensitivity]:
    """Every layer that can be quantized, the one whose return to float pays most first, and then the others.

    Args:
        network: not modified.
        recipe: how it is quantized.
        batches: calibration data.
        progress: told of every layer.
        evaluation: data with labels; its metric is measured with one layer at a time as integers.

    Raises:
        ModelError: the network cannot be run or captured.
        DataError: the data does not fit.
    """
    halved = halve_layers(network, recipe, batches.first(), progress) if isinstance(network, nn.Module) else {}
    ranked = rank_quantized(network, recipe, batches, progress, evaluation)
    unknown = Halved(reason=UNKNOWN) if isinstance(network, nn.Module) else None
    rows = [
        LayerSensitivity(
            name=sensitivity.name,
            kind=sensitivity.kind,
            quantized=sensitivity,
            halved=halved.get(_module(sensitivity.name), unknown),
        )
        for sensitivity in ranked
    ]
    known = {_module(row.name) for row in rows}
    kinds = {name: type(part).__name__ for name, part in _parts(network)}
    return rows + [
        LayerSensitivity(name=name, kind=kinds.get(name, "tensor"), quantized=None, halved=half)
        for name, half in halved.items()
        if name not in known
    ]


def _module(node: str) -> str:
    """The module that a node of the export belongs to: ``attention/linear`` is one of ``attention``."""
    return node.partition("/")[0]


def _parts(network: Network) -> Iterable[tuple[str, nn.Module]]:
    return network.named_modules() if isinstance(network, nn.Module) else ()


def rank_quantized(
    network: Network, recipe: Recipe, batches: Batches, progress: Progress, evaluation: Batches | None = None
) -> list[Sensitivity]:
    """What each layer costs in accuracy as integers and in time as floats, the dearest first."""
    plain = recipe.model_copy(update={"quantization": Quantization(), "pruning": Pruning()})
    context = Context(recipe=plain, example=batches.first(), progress=progress)
    model = prepare_for_integers(convert(network, context).artifact).model
    fitted = replace(batches, signature=signature(model))
    placement = place(model.graph, kept_float(model.graph, recipe.quantization))
    seen = collect(model, placement.pairs, fitted, progress)
    lowering = lower(model, placement, seen, recipe.quantization, schemes(recipe.quantization)[0])
    if evaluation is None:
        return rank_layers(model, lowering, fitted, progress)
    drop_of = _drop_from(model, replace(evaluation, signature=signature(model)))
    return rank_layers(model, lowering, fitted, progress, drop_of)


def _drop_from(original: ir.Model, evaluation: Batches) -> DropOf:
    """What measures models against the float one, on the same samples."""

    def value_of(model: ir.Model) -> float | None:
        return score_sessions([open_session(model, ALL_CORES)], evaluation, Progress()).values[0]

    before = value_of(original)
    if before is None:
        raise DataError(f"no metric is measured without labels; give {evaluation.role} data with labels")
    return lambda model: evaluation.measure.drop(before, value_of(model))


def halve_layers(module: nn.Module, recipe: Recipe, batch: Batch, progress: Progress) -> Mapping[str, Halved]:
    """Every layer that makes channels, without the least important half of them (by the L2 norm), the others whole.

    Args:
        module: not modified; taken in evaluation mode.
        recipe: how many samples it is captured with.
        batch: samples to judge on; labels are not read.
        progress: told of every group of layers.
    """
    network = plain_copy(module).model.eval()  # as it is pruned
    subject = examine(network, (), tensors(batch.sample(recipe.export.batch_size or 1).inputs))
    probe = batch if recipe.export.batch_size else batch.slice(0, ROWS)
    scores, expected = score(subject, "l2"), [execute(subject.module, probe.inputs)]
    found = {refusal.name: Halved(reason=refusal.reason) for refusal in subject.refusals}
    measured: dict[tuple[str, ...], Halved] = {}
    for name, groups in progress.track(_groups_of_layers(subject).items(), "halving each layer in turn", "layer"):
        key = tuple(group.name for group in groups)
        if key not in measured:
            widths = {group.name: rounded(group, SHARE * len(group.units), 1) for group in groups}
            measured[key] = _halved(subject, choose(groups, scores, widths), groups, probe, expected)
        found[name] = measured[key]
    return found


def _groups_of_layers(subject: Subject) -> dict[str, list[Group]]:
    """Where the channels of each layer belong: of a sum with fewer channels, to more than one group."""
    found: dict[str, list[Group]] = {}
    for group in subject.groups:
        for name in _layers_of(subject, group):
            found.setdefault(name, []).append(group)
    return found


def _layers_of(subject: Subject, group: Group) -> dict[str, None]:
    made = producers(subject.structure)
    return dict.fromkeys(layer_name(member[0]) for member in group.members if member in made)


def _halved(subject: Subject, units: Sequence[int], groups: Sequence[Group], probe: Batch, expected: Outputs) -> Halved:
    names = tuple(dict.fromkeys(name for group in groups for name in _layers_of(subject, group)))
    try:
        noise = noise_without(subject, units, [probe], expected)
    except EdgecompressError as error:
        return Halved(group=names, reason=str(error).partition(";")[0])
    return Halved(group=names, sqnr_db=min(-10 * math.log10(max(noise, 1e-30)), IDENTICAL_DB))
