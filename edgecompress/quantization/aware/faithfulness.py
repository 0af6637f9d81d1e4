"""Whether a file answers as the network that was trained: each value, from the codes that the file has before it.

A code on the edge between two integers may fall to either side, and what follows from that grows from layer to layer,
in every pair of programs. So each value is computed from the file's own codes, and then it has to be the file's, up to
one step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch

from edgecompress.arrays import Array, Inputs
from edgecompress.errors import OUR_FAULT, EdgecompressError, plural
from edgecompress.quantization.aware.fake_quantized import FakeQuantized
from edgecompress.quantization.qdq_pairs import CODES, clip_name
from edgecompress.runtime import ALL_CORES, open_session, run_session

TOLERATED_STEPS = 1


@dataclass(frozen=True, kw_only=True)
class CodeDifference:
    """How the codes of a value differ: the largest difference in steps, and the share of codes that differ."""

    name: str
    largest: int
    differing: float


def code_differences(written: ir.Model, network: FakeQuantized, inputs: Inputs) -> list[CodeDifference]:
    """The codes of every activation in ONNX Runtime, on exact sums, against the network's from the same codes.

    Args:
        written: the INT8 model; not modified.
        network: that was trained.
        inputs: arrays by name.
    """
    shown = written.clone()
    codes = _codes(shown.graph)
    for value in codes.values():
        value.dtype = ir.DataType.UINT8
    shown.graph.outputs.extend(codes.values())
    answers = run_session(open_session(shown, ALL_CORES), inputs)[len(written.graph.outputs) :]
    there = dict(zip(codes, answers, strict=True))
    here = network.answers_to(
        {name: torch.tensor(array) for name, array in inputs.items()},
        {name: torch.tensor(array.astype(np.float32)) for name, array in there.items()},
    )
    return [_difference(name, there[name], found.numpy()) for name, found in here.items()]


def require_faithful(written: ir.Model, network: FakeQuantized, inputs: Inputs) -> CodeDifference | None:
    """The largest difference; None where nothing is quantized.

    Raises:
        EdgecompressError: a value differs by more than a step; the first one is named.
    """
    found = code_differences(written, network, inputs)
    for each in found:
        if each.largest > TOLERATED_STEPS:
            away = plural(each.largest, "step")
            raise EdgecompressError(
                f"{each.name!r} of the file is {away} from the network that was trained; {OUR_FAULT}"
            )
    return max(found, key=lambda each: (each.largest, each.differing), default=None)


def _codes(graph: ir.Graph) -> dict[str, ir.Value]:
    """The codes that floats are made of again, without those of constants, by the name that the network has for them.

    That is the name before the Clip of a folded activation: a step that grew in training may need one, and a step that
    shrank none.
    """
    read = [node.inputs[0] for node in graph if node.op_type == "DequantizeLinear"]
    outputs = {value.name for value in graph.outputs}
    made = (value for value in read if value is not None and value.producer() is not None)
    return {_unclipped(value): value for value in made if value.name not in outputs}


def _unclipped(codes: ir.Value) -> str:
    """What the codes of a folded activation are called before the Clip on them; the own name of all others."""
    made = codes.producer()
    before = None if made is None or made.op_type != "Clip" else made.inputs[0]
    if made is not None and before is not None and made.name == clip_name(str(before.name).removesuffix(CODES)):
        return str(before.name)
    return str(codes.name)


def _difference(name: str, there: Array, here: Array) -> CodeDifference:
    steps = np.abs(there.astype(np.int64) - np.rint(here).astype(np.int64))
    share = float((steps > 0).mean()) if steps.size else 0.0
    return CodeDifference(name=name.rpartition("/")[0], largest=int(steps.max(initial=0)), differing=share)
