"""Recurrent layers in a static recipe: LSTM, GRU and RNN on int8 weights.

ONNX Runtime has an integer kernel for LSTM only, which scales its activations as it runs and so needs no calibration.
It pays from a width on (AVX2, ONNX Runtime 1.32, one thread, 40 steps of one sample): 0.75x as fast as floats with a
hidden state of 16, 0.87x of 32, 1.27x of 64, 2.0x of 128, 2.9x of 256. Whatever has no kernel that pays is stored as
int8 and computed as before, which costs no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgecompress.exporters.graph import constant
from edgecompress.quantization.dynamic_lstm import GATES, quantize_lstm, why_no_lstm
from edgecompress.quantization.placement import why_kept
from edgecompress.quantization.stored_weights import store_weight
from edgecompress.step import Refusal

RECURRENT = ("LSTM", "GRU", "RNN")
LEAST_HIDDEN = 64
"""Size of the hidden state from which on the integer kernel is faster than the float one."""
LEAST_WEIGHTS = 1024
"""Numbers in a weight below which scales and nodes take most of what integers save."""

STORED = "its weights are stored as INT8, and it computes in floats: {reason}"
NO_KERNEL = "ONNX Runtime has an integer kernel for LSTM only"
NARROW = f"below a hidden state of {LEAST_HIDDEN} floats are faster"
SMALL = "its weights are so few that integers save no bytes"


@dataclass(frozen=True, kw_only=True)
class Recurrent:
    """The recurrent layers of a graph, by name.

    ``dynamic`` run in integers; ``stored`` have int8 weights and compute in floats; ``refusals`` name all that compute
    in floats, with the reason.
    """

    dynamic: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def layers(self) -> tuple[str, ...]:
        """All that have int8 weights."""
        return (*self.dynamic, *self.stored)


def find_recurrent(graph: ir.Graph, kept: Mapping[str, str]) -> Recurrent:
    """Decide how each recurrent layer is written.

    Args:
        graph: float, its nodes named.
        kept: wildcards for names of nodes that stay float, and why.
    """
    dynamic: list[str] = []
    stored: list[str] = []
    refusals: list[Refusal] = []
    for layer in graph:
        if layer.op_type not in RECURRENT or layer.domain not in ("", "ai.onnx"):
            continue
        name = str(layer.name)
        reason = why_kept(name, kept) or _why_not_stored(layer)
        floats = _why_in_floats(layer)
        if reason is None and floats is None:
            dynamic.append(name)
            continue
        if reason is None:
            stored.append(name)
        refusals.append(Refusal(name=name, kind=layer.op_type, reason=reason or STORED.format(reason=floats)))
    return Recurrent(dynamic=tuple(dynamic), stored=tuple(stored), refusals=tuple(refusals))


def write_recurrent(model: ir.Model, recurrent: Recurrent) -> None:
    """Write the recurrent layers of a model as was decided.

    Args:
        model: changed in place.
        recurrent: decided on the graph that it was made from.
    """
    for layer in list(model.graph):
        if layer.name in recurrent.dynamic:
            quantize_lstm(model, layer)
        elif layer.name in recurrent.stored:
            for letter, position in GATES.items():
                store_weight(model.graph, layer, position, f"{layer.name}/{letter}", shared=(-1,))


def _why_not_stored(layer: ir.Node) -> str | None:
    weights = [constant(layer.inputs[position]) for position in GATES.values()]
    known = [weight for weight in weights if weight is not None]
    if len(known) < len(weights):
        return "its weights are computed, not constant"
    if any(weight.dtype != np.float32 for weight in known):
        return "it is not float32"
    return SMALL if sum(weight.size for weight in known) < LEAST_WEIGHTS else None


def _why_in_floats(layer: ir.Node) -> str | None:
    """The reason not to run a layer in integers, or None."""
    if layer.op_type != "LSTM":
        return NO_KERNEL
    if (reason := why_no_lstm(layer)) is not None:
        return reason
    hidden = constant(layer.inputs[GATES["R"]])
    assert hidden is not None
    return NARROW if hidden.shape[-1] < LEAST_HIDDEN else None
