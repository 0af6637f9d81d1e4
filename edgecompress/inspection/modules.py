"""PyTorch modules by layer: counted on an example, and timed as the float ONNX file that they become."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import nn

from edgecompress.data.batches import Batch
from edgecompress.diagnosis.layers import Inspection, Layer, module_layers
from edgecompress.diagnosis.onnx_layers import enumerated, onnx_layers, without_time
from edgecompress.modules.copies import copied
from edgecompress.pipeline.fold import convert
from edgecompress.progress import Progress
from edgecompress.pruning.counts import count_macs_by_module
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import Network, tensors, to_bytes
from edgecompress.techniques.context import Context

RECURRENT = ("LSTM", "GRU", "RNN")


def exported_layers(network: Network, example: Batch, recipe: Recipe, progress: Progress) -> Inspection:
    """The layers of the float ONNX file that a network becomes, on one sample.

    Raises:
        ModelError: the network cannot be run or captured.
    """
    plain = Recipe(export=recipe.export, images=recipe.images)
    artifact = convert(network, Context(recipe=plain, example=example, progress=progress)).artifact
    return onnx_layers(to_bytes(artifact), example.sample(recipe.export.batch_size or 1).inputs)


def measured_modules(module: nn.Module, example: Batch, recipe: Recipe, progress: Progress) -> Inspection:
    """The layers of a module under their own names, counted as PyTorch does and timed as ONNX Runtime does.

    Batch norms are folded and activations fused: their time is that of the layer that took them in.

    Raises:
        ModelError: the module cannot be run or captured.
    """
    seen = exported_layers(module, example, recipe, progress)
    macs = count_macs_by_module(copied(module), tensors(example.sample(recipe.export.batch_size or 1).inputs))
    layers = [replace(layer, macs=macs.get(_key(layer), 0)) for layer in module_layers(module)]
    # PyTorch does not count what recurrent layers multiply; the graph does.
    found = tuple(
        replace(
            layer,
            macs=_macs(layer.name, seen) if layer.kind in RECURRENT else layer.macs,
            share=_share(layer.name, seen),
        )
        for layer in layers
    )
    return replace(
        seen,
        layers=found,
        other_macs=sum(macs.values()) - sum(layer.macs or 0 for layer in layers),
        notes=(*without_time(found), *_made_by_the_export(found, seen)),
    )


def _key(layer: Layer) -> str:
    return "" if layer.name == "(model)" else layer.name


def _macs(name: str, seen: Inspection) -> int:
    return sum(node.macs or 0 for node in seen.layers if _belongs(node.name, name))


def _share(name: str, seen: Inspection) -> float | None:
    """The part of all nodes that a module became: they have its name, or stand below it."""
    known = [node.share for node in seen.layers if _belongs(node.name, name) and node.share is not None]
    return sum(known) if known else None


def _belongs(node: str, module: str) -> bool:
    return node == module or node.startswith(f"{module}/")


def _made_by_the_export(layers: Sequence[Layer], seen: Inspection) -> Iterator[str]:
    """The nodes with weights that are nobody's: layers merged into one product, or a padding that became one."""
    own = [node for node in seen.layers if not any(_belongs(node.name, layer.name) for layer in layers)]
    if own:
        share = sum(node.share or 0.0 for node in own)
        names = enumerated([node.name for node in own])
        yield f"merged or made by the export: {names}, {100 * share:.1f} % of the time"
