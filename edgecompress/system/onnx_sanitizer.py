"""What becomes of a stranger's ONNX file before anything is made of it: repaired, checked, upgraded, run once.

All of it is C++ on bytes that anybody may have written. It runs in a child process, as a script: this file imports
nothing of edgecompress.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

LEAST_OPSET, UPGRADED_OPSET, UPGRADED_IR_VERSION = 13, 18, 8
"""The oldest opset that stays (from 13 on, a tensor can have a scale for each channel), and what others become."""
RESIZE_OPSET, RESIZED_BEFORE = 11, {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
"""From opset 11 on a Resize has these attributes; their defaults are not what older opsets compute."""
MIN_UPGRADE_DB = 100.0
SIZES = (2, 1, 8, 32)
"""What dynamic dimensions are tried at, until the model runs."""
RESULT, TOLD, STAGE = "model.onnx", "told.json", "stage"
"""Files of the result: the model with its weights, what there is to say of it, and what runs at the moment."""
AGAIN = "export it again"

Outputs = list[NDArray[Any]]
Run = tuple[int, dict[str, tuple[int, ...]]]
"""The size of dynamic dimensions, and the shapes of values by name."""


class Refused(Exception):  # noqa: N818 - it is no error of the program
    """The file cannot be used; the message says why, and how to fix it."""


def sanitize(source: Path, folder: Path, *, upgrade: bool = True) -> None:
    """Read a file and write what is to be used in its place, all weights inside.

    Args:
        source: a file with its external weights in the same folder.
        folder: gets ``RESULT``, where the file can be used, and ``TOLD``: JSON with ``notes``, what was repaired in
            words, and ``fault``, a clause on why it cannot be used, or null.
        upgrade: convert opsets below 13 to 18.
    """
    notes: list[str] = []
    fault = None
    try:
        onnx.save(_sanitized(source, folder, notes, upgrade=upgrade), folder / RESULT)
    except Refused as refused:
        fault = str(refused)
    (folder / TOLD).write_text(json.dumps({"fault": fault, "notes": notes}))


def _sanitized(source: Path, folder: Path, notes: list[str], *, upgrade: bool) -> onnx.ModelProto:
    model = _checked(source, folder)
    notes += name_dimensions(model)
    _enter(folder, "onnx's shape inference")
    model, told = with_true_shapes(model)
    notes += told
    _enter(folder, "ONNX Runtime")
    model, told = with_seen_shapes(model)
    notes += told
    old = next((opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")), LEAST_OPSET)
    if not upgrade or old >= LEAST_OPSET:
        _enter(folder, "ONNX Runtime")
        _outputs_at(model, SIZES[1])
        return model
    _enter(folder, "onnx's version converter")
    fix = f"{AGAIN} with opset {UPGRADED_OPSET} or later"
    upgraded = _upgraded(model, old, fix)
    _enter(folder, "ONNX Runtime")
    compared = _agreement(model, upgraded)
    if compared is None:
        notes.append(f"opset {old} is upgraded to {UPGRADED_OPSET} unseen: the model does not run on made-up inputs")
    elif compared < MIN_UPGRADE_DB:
        raise Refused(f"has opset {old}, and answers differently when upgraded; {fix}")
    return upgraded


def _enter(folder: Path, stage: str) -> None:
    """Leave word of what comes next, for the case that it is the last."""
    (folder / STAGE).write_text(stage)


def _checked(source: Path, folder: Path) -> onnx.ModelProto:
    try:
        _enter(folder, "onnx's checker")
        onnx.checker.check_model(str(source))
        return onnx.load(source)
    except MemoryError:
        raise
    except Exception as error:  # the checker and protobuf have exceptions of their own
        raise Refused(f"is not a valid ONNX model: {_first_line(error)}; {AGAIN}") from None


def name_dimensions(model: onnx.ModelProto) -> list[str]:
    """Make dimensions of -1 or 0, by which some exporters mean dynamic ones, dynamic; what was done, in words.

    Axis 0 of an input is called ``batch``, another one ``<input>_<axis>``. What is computed is left to inference.
    """
    notes = []
    for value in model.graph.input:
        axes = [axis for axis, size in enumerate(value.type.tensor_type.shape.dim) if _is_no_size(size)]
        for axis in axes:
            value.type.tensor_type.shape.dim[axis].dim_param = f"{value.name}_{axis}" if axis else "batch"
        if axes:
            listed = ", ".join(map(str, axes))
            notes.append(f"input {value.name!r}: a size below 1 on axis {listed} is read as a dynamic one")
    for graph in _graphs(model.graph):
        for value in (*graph.output, *graph.value_info):
            for size in value.type.tensor_type.shape.dim:
                if _is_no_size(size):
                    size.Clear()
    return notes


def _is_no_size(size: onnx.TensorShapeProto.Dimension) -> bool:
    return size.HasField("dim_value") and size.dim_value < 1


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all that lie in it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def with_true_shapes(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """The model without the declared shapes that its operators contradict; which they were, in words.

    An output keeps the shape that is declared where its operators may have it.

    Raises:
        Refused: its operators contradict one another, whatever is declared.
    """
    if _shape_fault(model) is None:
        return model, []
    bare = _bare(model)
    if (fault := _shape_fault(bare)) is not None:
        raise Refused(f"is not a valid ONNX model: {fault}; {AGAIN}")
    inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True)
    for declared, output in zip(model.graph.output, inferred.graph.output, strict=True):
        if _fits(_sizes(declared), _sizes(output)):
            output.CopyFrom(declared)
    return inferred, list(_contradictions(model.graph, inferred.graph))


def _bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without declared shapes, except those of the inputs."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for value in bare.graph.output:
        kind = value.type.sequence_type.elem_type if value.type.HasField("sequence_type") else value.type
        if kind.HasField("tensor_type"):  # to clear what is not there would make a tensor of it
            kind.tensor_type.ClearField("shape")
    for graph in _graphs(bare.graph):
        del graph.value_info[:]
    return bare


def _shape_fault(model: onnx.ModelProto) -> str | None:
    try:
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except MemoryError:
        raise
    except Exception as error:  # shape inference and protobuf have exceptions of their own
        return _first_line(error)
    return None


def _contradictions(declared: onnx.GraphProto, inferred: onnx.GraphProto) -> Iterator[str]:
    found = {value.name: _sizes(value) for value in (*inferred.output, *inferred.value_info)}
    for value in declared.output:
        if not _fits(_sizes(value), found[value.name]):
            yield _wrong(value, _written(_sizes(value)), f"is {_written(found[value.name])}")
    yield from _inside(value.name for value in declared.value_info if not _fits(_sizes(value), found.get(value.name)))


def _wrong(value: onnx.ValueInfoProto, declared: str, true: str) -> str:
    return f"output {value.name!r} is declared as {declared}, but {true}; this is repaired, you need do nothing"


def _inside(names: Iterable[str]) -> Iterator[str]:
    wrong = list(names)
    if wrong:
        listed = f"{', '.join(wrong[:3])}{', ...' * (len(wrong) > 3)}"
        yield f"shapes of inner values are declared wrongly: {listed}; this is repaired, you need do nothing"


def with_seen_shapes(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """The model without the declared sizes that runs on made-up inputs contradict; which they were, in words.

    Shape inference knows neither operators of other domains nor what follows a shape that is computed. Only what it
    cannot prove is looked at, in one run, or in two of unlike sizes where a dimension is dynamic. A first axis that is
    as long as the input's is called like that.
    """
    unproven = _unproven(model)
    runs = _runs(model, unproven) if unproven else []
    seen = {value.name: [(size, shapes[value.name]) for size, shapes in runs] for value in unproven}
    wrong = {each.name for each in unproven if not all(_fits(_sizes(each), [*shape]) for _, shape in seen[each.name])}
    if not wrong:
        return model, []
    repaired = onnx.ModelProto()
    repaired.CopyFrom(model)
    inner = [value for value in repaired.graph.value_info if value.name in wrong]
    notes = list(_inside(value.name for value in inner))
    for value in inner:
        repaired.graph.value_info.remove(value)
    for value in repaired.graph.output:
        if value.name in wrong:
            declared, (_, shape) = _written(_sizes(value)), seen[value.name][0]
            kept = _kept(_sizes(value) or [], seen[value.name], _batch(model.graph))
            _declare(value, kept)
            true = _written([size or length for size, length in zip(kept, shape, strict=True)])
            notes.append(_wrong(value, declared, f"was {true} in a trial run"))
    return repaired, notes


def _unproven(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The outputs and values inside that declare a size which does not follow from the operators."""
    graph = onnx.shape_inference.infer_shapes(_bare(model), data_prop=True).graph
    found = {value.name: _sizes(value) or [] for value in (*graph.output, *graph.value_info)}
    made = {name for node in model.graph.node for name in node.output}  # exporters leave entries of what is gone
    values = {value.name: value for value in (*model.graph.value_info, *model.graph.output) if value.name in made}
    return [
        value
        for name, value in values.items()
        if any(isinstance(size, int) for size in _sizes(value) or [])
        and not _follows(_sizes(value) or [], found.get(name, []))
    ]


def _follows(declared: Sizes, inferred: Sizes) -> bool:
    return len(declared) == len(inferred) and all(
        size == other for size, other in zip(declared, inferred, strict=True) if isinstance(size, int)
    )


def _runs(model: onnx.ModelProto, values: Sequence[onnx.ValueInfoProto]) -> list[Run]:
    """The shapes of these values in one run, in two where a dimension is dynamic; fewer where it does not run."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    there = {value.name for value in probe.graph.output}
    probe.graph.output.extend(value for value in values if value.name not in there)
    probe = _bare(probe)
    dynamic = any(not isinstance(size, int) for value in model.graph.input for size in _sizes(value) or [])
    outputs = ((size, _outputs_at(probe, size)) for size in sorted(SIZES))
    ran = ((size, arrays) for size, arrays in outputs if arrays is not None)
    listed = [value.name for value in probe.graph.output]
    return [
        (size, {name: array.shape for name, array in zip(listed, arrays, strict=True)})
        for size, arrays in islice(ran, 2 if dynamic else 1)
    ]


def _kept(declared: Sizes, runs: Sequence[tuple[int, tuple[int, ...]]], batch: str | None) -> Sizes:
    """The sizes that are declared, with None, or the name of the batch, in the place of those that are not so."""
    rank = len(runs[0][1])
    if any(len(shape) != len(declared) for _, shape in runs):
        return [None] * rank
    kept: Sizes = []
    for axis, size in enumerate(declared):
        follows = axis == 0 and len(runs) > 1 and all(shape[0] == rows for rows, shape in runs)
        wrong = isinstance(size, int) and any(shape[axis] != size for _, shape in runs)
        kept.append(size if not wrong else batch if follows else None)
    return kept


def _batch(graph: onnx.GraphProto) -> str | None:
    """What the first axis of the inputs is called, where that is the same for all of them."""
    constants = {tensor.name for tensor in graph.initializer}
    names = {(_sizes(value) or [None])[0] for value in graph.input if value.name not in constants}
    name = names.pop() if len(names) == 1 else None
    return name if isinstance(name, str) else None


def _declare(value: onnx.ValueInfoProto, sizes: Sizes) -> None:
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    for size in sizes:
        dimension = shape.dim.add()
        if isinstance(size, int):
            dimension.dim_value = size
        elif size is not None:
            dimension.dim_param = size


Sizes = list[int | str | None]


def _sizes(value: onnx.ValueInfoProto) -> Sizes | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [getattr(size, size.WhichOneof("value") or "", None) for size in tensor.shape.dim]


def _fits(declared: Sizes | None, inferred: Sizes | None) -> bool:
    """Whether two shapes may be of one tensor."""
    if declared is None or inferred is None:
        return True
    known = zip(declared, inferred, strict=False)
    return len(declared) == len(inferred) and all(
        not isinstance(size, int) or not isinstance(other, int) or size == other for size, other in known
    )


def _written(sizes: Sizes | None) -> str:
    """As a reader knows it; what inference makes up a name for has none."""
    return f"({', '.join('?' if size is None or 'unk__' in str(size) else str(size) for size in sizes or [])})"


def _upgraded(model: onnx.ModelProto, old: int, fix: str) -> onnx.ModelProto:
    """The model at opset 18. Before IR version 4 weights were listed as inputs, too, which the converter asks for."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    constants = {tensor.name for tensor in plain.graph.initializer}
    inputs = [value for value in plain.graph.input if value.name not in constants]
    del plain.graph.input[:]
    plain.graph.input.extend(inputs)
    plain.ir_version = max(plain.ir_version, UPGRADED_IR_VERSION)
    try:
        upgraded = onnx.version_converter.convert_version(plain, UPGRADED_OPSET)
    except MemoryError:
        raise
    except Exception as error:
        raise Refused(f"has opset {old} and cannot be upgraded: {_first_line(error)}; {fix}") from None
    if old < RESIZE_OPSET:
        _resize_as_before(upgraded)
    return upgraded


def _resize_as_before(upgraded: onnx.ModelProto) -> None:
    """Write down what a Resize or Upsample did by definition before it had a choice; the converter leaves it out."""
    for graph in _graphs(upgraded.graph):
        for node in graph.node:
            if node.op_type == "Resize":
                node.attribute.extend(onnx.helper.make_attribute(*choice) for choice in RESIZED_BEFORE.items())


def _agreement(model: onnx.ModelProto, upgraded: onnx.ModelProto) -> float | None:
    """Decibels of the output that differs most, on the first made-up inputs that the model runs on; None without."""
    for size in SIZES:
        before = _outputs_at(model, size)
        if before is not None:
            after = _outputs_at(upgraded, size)
            return -np.inf if after is None else min(map(_decibels, before, after), default=np.inf)
    return None


def _decibels(before: NDArray[Any], after: NDArray[Any]) -> float:
    if before.shape != after.shape:
        return -np.inf
    reference, actual = (np.nan_to_num(array.astype(np.float64)) for array in (before, after))
    noise = float(((reference - actual) ** 2).sum())
    signal = float((reference**2).sum())
    return float("inf") if not noise else 10 * np.log10(signal / noise) if signal else -np.inf


def _outputs_at(model: onnx.ModelProto, size: int) -> Outputs | None:
    """What a model answers where dynamic dimensions have a size; None where ONNX Runtime refuses it, or the inputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        feeds = {spec.name: _draw(spec, size) for spec in session.get_inputs()}
        return [np.asarray(output) for output in session.run(None, feeds)]
    except MemoryError:
        raise
    except Exception as error:  # whoever loads it next is told why, in better words
        if "alloc" in str(error):
            raise MemoryError from None
        return None


def _draw(spec: Any, size: int) -> NDArray[Any]:
    """Normal values, or zeros, which any lookup takes."""
    name = spec.type[len("tensor(") : -1]
    dtype = np.dtype({"float": "float32", "double": "float64"}.get(name, name))
    shape = [length if isinstance(length, int) else size for length in spec.shape]
    return (np.random.default_rng(0).standard_normal(shape) if dtype.kind == "f" else np.zeros(shape)).astype(dtype)


def _first_line(error: BaseException) -> str:
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)


if __name__ == "__main__":
    sanitize(Path(sys.argv[1]), Path(sys.argv[2]), upgrade=sys.argv[3] == "upgrade")
