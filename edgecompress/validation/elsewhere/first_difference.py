"""Where a place goes wrong: the node of an artifact at which its values leave those that they should be.

Integers between Q and DQ are watched: the artifact's inner values become outputs, and one sample runs there and here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import onnx

from edgecompress.arrays import Array, Inputs
from edgecompress.errors import EdgecompressError
from edgecompress.metrics.agreement import Agreement
from edgecompress.quantization.operators import MOVES
from edgecompress.quantization.qdq_pairs import DEQUANTIZE, QUANTIZE
from edgecompress.runtime import ALL_CORES, open_session, run_session
from edgecompress.system.scratch import scratch_folder
from edgecompress.validation.elsewhere.fixed_batch import fix_batch
from edgecompress.validation.elsewhere.place import Place

GOOD_DB = 40.0
"""What counts as right throughout; better inputs of a node are not better for it."""
REORDERING = frozenset(MOVES) - {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}
"""Operators behind which the values of a node stand in another order."""


@dataclass(frozen=True, kw_only=True)
class LosingNode:
    """A node, its operator, and the agreement in dB of what it writes at the place, and of the worst that it reads."""

    name: str
    operator: str
    sqnr_db: float
    input_db: float

    def __str__(self) -> str:
        """In words.

        >>> print(LosingNode(name="conv1", operator="Conv", sqnr_db=3.04, input_db=36.0))
        'conv1' (Conv) loses most, 36.0 dB before it and 3.0 dB behind
        """
        lost = f"{self.input_db:.1f} dB before it and {self.sqnr_db:.1f} dB behind"
        return f"{self.name!r} ({self.operator}) loses most, {lost}"


@dataclass(frozen=True, kw_only=True)
class _Watched:
    """A value with a pair: the node that writes it, and the name of the floats behind the pair."""

    node: onnx.NodeProto
    behind: str


def first_difference(artifact: bytes, floats: bytes | Path | None, inputs: Inputs, place: Place) -> LosingNode | None:
    """The node that loses most of what it reads, for one sample at a place.

    Args:
        artifact: bytes of the ONNX file.
        floats: the float model that its values are held against by their names; those that it does not have, and all
            of them where it is None, against the artifact's on this machine.
        inputs: a batch; its first sample is run.
        place: where to run.

    Returns:
        The node; None where nothing is watched, or the place does not run the file with its values as outputs.
    """
    with scratch_folder() as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(artifact)
        try:
            sample = fix_batch(path).split([inputs])[0]
        except EdgecompressError:
            return None
        model = onnx.load(path)
        watched = list(_watched(model.graph))
        if not watched:
            return None
        here = _expose(model, [each.behind for each in watched], sample)
        onnx.save(model, path)
        answer = place.run(path, [sample])
    if answer.failure is not None:
        return None
    there, real = answer.outputs[0], _real_values(floats, model.graph, inputs)
    agreements = {
        each.behind: _sqnr(real.get(each.node.name, here[each.behind]), there[each.behind]) for each in watched
    }
    found = _differences(model.graph, watched, agreements)
    return max(found, key=lambda each: each.input_db - each.sqnr_db)


def _watched(graph: onnx.GraphProto) -> Iterator[_Watched]:
    makers = {name: node for node in graph.node for name in node.output}
    pairs = {node.input[0]: node for node in graph.node if node.op_type == DEQUANTIZE}
    for node in graph.node:
        maker = makers.get(node.input[0]) if node.op_type == QUANTIZE else None
        if maker is not None and maker.op_type != DEQUANTIZE and node.output[0] in pairs:
            yield _Watched(node=maker, behind=pairs[node.output[0]].output[0])


def _expose(model: onnx.ModelProto, names: list[str], sample: Inputs) -> Mapping[str, Array]:
    """Make values outputs of a model, with the shapes that they have for a sample; returns them."""
    known = {output.name for output in model.graph.output}
    added = [name for name in names if name not in known]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in added)
    session = open_session(model.SerializeToString(), ALL_CORES)
    outputs = [output.name for output in model.graph.output]
    found = dict(zip(outputs, run_session(session, sample), strict=True))
    del model.graph.output[len(known) :]
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, found[name].shape) for name in added
    )
    return found


def _real_values(floats: bytes | Path | None, artifact: onnx.GraphProto, inputs: Inputs) -> Mapping[str, Array]:
    """What the nodes of an artifact write in the float model, for the first sample, by their names."""
    if floats is None:
        return {}
    with scratch_folder() as folder:
        path = Path(folder, "floats.onnx")
        path.write_bytes(floats if isinstance(floats, bytes) else floats.read_bytes())
        sample = fix_batch(path).split([inputs])[0]
        model = onnx.load(path)
    values = dict(_values(model.graph, {node.name for node in artifact.node}))
    found = _expose(model, [*dict.fromkeys(values.values())], sample)
    return {name: found[value] for name, value in values.items()}


def _values(graph: onnx.GraphProto, kept: Set[str]) -> Iterator[tuple[str, str]]:
    """The value that stands for each kept node: what is not kept behind it, such as its activation, is part of it."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    constants = {each.name for each in graph.initializer}
    for node in graph.node:
        last = node
        while len(then := readers.get(last.output[0], [])) == 1 and then[0].name not in kept:
            if {*then[0].input} - constants - {last.output[0], ""} or then[0].op_type in REORDERING:
                break
            last = then[0]
        if node.name in kept:
            yield node.name, last.output[0]


def _differences(
    graph: onnx.GraphProto, watched: list[_Watched], agreements: Mapping[str, float]
) -> Iterator[LosingNode]:
    makers = {name: node for node in graph.node for name in node.output}
    for each in watched:
        read = [agreements[name] for name in _read(each.node, makers) if name in agreements]
        yield LosingNode(
            name=each.node.name,
            operator=each.node.op_type,
            sqnr_db=agreements[each.behind],
            input_db=min([GOOD_DB, *read]),
        )


def _read(node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto]) -> Iterator[str]:
    """The floats behind pairs that a node reads, through nodes without a pair between."""
    for name in node.input:
        yield name
        maker = makers.get(name)
        if maker is not None and maker.op_type != DEQUANTIZE:
            yield from _read(maker, makers)


def _sqnr(expected: Array, given: Array) -> float:
    if expected.size != given.size:
        return GOOD_DB
    return Agreement.between([expected.reshape(1, -1)], [given.reshape(1, -1)]).sqnr_db
