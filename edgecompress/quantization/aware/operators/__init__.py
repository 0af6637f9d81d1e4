"""ONNX operators as PyTorch functions, so that gradients flow through an exported graph.

Each file has ``MAKERS``: from the name of an operator to a function that takes a node and returns what it computes, a
function of the node's inputs. Attributes are read once, when the function is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir

from edgecompress.quantization.aware.operators import elementwise, layers, layouts, reductions
from edgecompress.quantization.aware.operators.no_form import no_form

MAKERS: dict[str, Callable[[ir.Node], Callable[..., Any]]] = {
    **elementwise.MAKERS,
    **layers.MAKERS,
    **layouts.MAKERS,
    **reductions.MAKERS,
}


def function_of(node: ir.Node) -> Callable[..., Any]:
    """What a node computes: from its inputs, tensors or None, to its output, or to a tuple of several.

    Raises:
        NoFormError: its operator has no function here.
    """
    if node.domain not in ("", "ai.onnx") or node.op_type not in MAKERS:
        raise no_form(node)
    return MAKERS[node.op_type](node)
