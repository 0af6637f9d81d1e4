"""The error of an operator that has no function in PyTorch here."""

from __future__ import annotations

import onnx_ir as ir

from edgecompress.errors import ModelError


class NoFormError(ModelError):
    """An operator cannot be trained through."""


def no_form(node: ir.Node, detail: str = "") -> ModelError:
    """The error of a node, with what it is about it."""
    return NoFormError(
        f"{node.op_type} {node.name!r}{detail} has no form in PyTorch here; set quantization.training=never"
    )
