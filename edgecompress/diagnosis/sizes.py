"""Sizes: the bytes of each layer before and after."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.diagnosis.onnx_layers import layers_of


@dataclass(frozen=True, kw_only=True)
class LayerSize:
    """The constants of one layer in the original and in the artifact, in bytes; 0 where it is not there."""

    layer: str
    kind: str
    original_bytes: int
    compressed_bytes: int


def compare_sizes(original: ir.Model, artifact: ir.Model) -> list[LayerSize]:
    """The layers with constants, in the order of the original; those that only the artifact has follow."""
    before, after = (
        {layer.name: layer for _, layer in layers_of(_named(model).graph)} for model in (original, artifact)
    )
    return [
        LayerSize(
            layer=name,
            kind=(before.get(name) or after[name]).kind,
            original_bytes=before[name].bytes if name in before else 0,
            compressed_bytes=after[name].bytes if name in after else 0,
        )
        for name in dict.fromkeys((*before, *after))
    ]


def _named(model: ir.Model) -> ir.Model:
    """A copy in which each node has a name of its own; a user's need not."""
    named = model.clone()
    passes.NameFixPass()(named)
    return named
