"""INT8 of files that other exporters wrote, compared with ONNX Runtime's own tool: python -m benchmarks.foreign

Twelve files with fixed seeds, drawn as in ``tests/foreign``. Each is quantized on the same batches by both tools and
judged on twenty times as many others by the SQNR of the worst slice: of each output, and of each index of its axis 1
and of its last axis that carries signal. *Here* is what this machine answers by default, where products of 8 bits may
saturate; *exact* is what the file means, and what a CPU answers that does not saturate.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from edgecompress.arithmetic import Arithmetic
from edgecompress.arrays import Array, Inputs
from edgecompress.data.splits import Streams
from edgecompress.errors import first_line
from edgecompress.loading.models import load_model
from edgecompress.loading.opened import open_together
from edgecompress.metrics.agreement import Agreement
from edgecompress.pipeline.fold import convert
from edgecompress.runtime import ALL_CORES, open_session, run_session, to_bytes
from edgecompress.targets import load_profile
from edgecompress.techniques.context import Context
from tests.foreign import Foreign, foreign

FILES = (
    *(("keras", 10, 0), ("keras", 13, 1), ("keras", 17, 2), ("paddle", 9, 3), ("paddle", 11, 4), ("paddle", 16, 5)),
    *(("torchscript", 11, 6), ("torchscript", 14, 7), ("torchscript", 17, 8), ("branches", 13, 9)),
    *(("states", 12, 10), ("states", 20, 11)),
)
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
OURS, THEIRS = {"pc": "mini-pc", "mobile": "mobile"}, {"ort": False, "ort-7b": True}
"""The columns: targets of ours; ``quantize_static`` by default and with ``reduce_range``."""
FRESH = range(1000, 1020)
"""Seeds of batches to judge on: a slice of only some values has an SQNR that varies by decibels."""
ARITHMETICS: tuple[Arithmetic, Arithmetic] = ("native", "exact")
WIDTH = 7


def answers(model: bytes, batches: Sequence[Inputs], arithmetic: Arithmetic) -> list[list[Array]]:
    """The outputs of each batch."""
    session = open_session(model, ALL_CORES, arithmetic=arithmetic)
    return [run_session(session, batch) for batch in batches]


def worst_slice_db(reference: Sequence[Sequence[Array]], actual: Sequence[Sequence[Array]]) -> float:
    """SQNR over all batches of the output, or of the slice of one, that differs most.

    >>> whole = np.tile([[3.0, 100.0], [4.0, 100.0]], (2, 1))
    >>> round(worst_slice_db([[whole]], [[whole + [[0.5, 0], [0, 0]] * 2]]), 2)
    20.0
    """
    agreement = reduce(Agreement.merge, map(Agreement.between, reference, actual))
    worst = agreement.worst_slice
    return agreement.sqnr_db if worst is None else min(agreement.sqnr_db, worst[0])


def ours(path: Path, file: Foreign, target: str) -> bytes:
    """By a profile of ours."""
    opened = open_together(load_model(str(path)), {"calibration": list(file.batches)}, load_profile(target).recipe)
    streams = Streams(**opened.batches)
    return to_bytes(
        convert(opened.network, Context(recipe=opened.recipe, example=opened.first(), streams=streams)).artifact
    )


def theirs(path: Path, file: Foreign, *, reduce_range: bool) -> bytes:
    """By ``quantize_static``, after its own preparation where that takes the file."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = iter(file.batches)

        def get_next(self) -> Any:
            return next(self._batches, None)

    prepared, output = path.with_suffix(".prepared.onnx"), path.with_suffix(".int8.onnx")
    try:
        quant_pre_process(str(path), str(prepared))
    except Exception:  # its symbolic shapes know fewer operators than its quantizer
        prepared = path
    quantize_static(str(prepared), str(output), Reader(), reduce_range=reduce_range)
    return output.read_bytes()


def integer_layers(model: bytes) -> int:
    """How many layers read integers."""
    nodes = onnx.load_from_string(model).graph.node
    made_by = {output: node.op_type for node in nodes for output in node.output}
    return sum(node.op_type in LAYERS and made_by.get(node.input[0]) == "DequantizeLinear" for node in nodes)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One tool's file: decibels here and by exact arithmetic, layers in integers; or why there is no file."""

    here: float = np.nan
    exact: float = np.nan
    layers: int = 0
    failure: str | None = None


def judge(make: Callable[[], bytes], original: bytes, fresh: Sequence[Inputs]) -> Judged:
    """What a tool makes, on batches that it has not seen."""
    try:
        made = make()
        wanted = answers(original, fresh, "exact")
        here, exact = (worst_slice_db(wanted, answers(made, fresh, kind)) for kind in ARITHMETICS)
    except Exception as error:  # whatever a tool raises is what there is to tell of it
        return Judged(failure=f"{type(error).__name__}: {first_line(error)}")
    return Judged(here=here, exact=exact, layers=integer_layers(made))


def row(file: Foreign, fresh: Sequence[Inputs]) -> dict[str, Judged]:
    """All tools on one file."""
    with tempfile.TemporaryDirectory(prefix="edgecompress-") as folder:
        path = Path(folder, "float.onnx")
        onnx.save(file.model, path)
        makers: dict[str, Callable[[], bytes]] = {
            name: partial(ours, path, file, target) for name, target in OURS.items()
        }
        makers |= {name: partial(theirs, path, file, reduce_range=narrow) for name, narrow in THEIRS.items()}
        return {name: judge(make, path.read_bytes(), fresh) for name, make in makers.items()}


def line(name: str, cells: Sequence[str]) -> str:
    """A line of the table; with eight cells it has 74 columns."""
    return f"{name:18}" + "".join(f"{cell:>{WIDTH}}" for cell in cells)


def summary(rows: Sequence[Mapping[str, Judged]]) -> Iterator[str]:
    """How often each target of ours is ahead of both of theirs, and how much of the files is integer."""
    for target in OURS:
        ahead = [sum(_ahead(judged, target, field) for judged in rows) for field in ("here", "exact")]
        yield f"{target} ahead of both: {ahead[0]} of {len(rows)} here, {ahead[1]} of {len(rows)} by exact arithmetic"
    totals = ", ".join(f"{name} {sum(judged[name].layers for judged in rows)}" for name in (*OURS, *THEIRS))
    yield f"layers in integers: {totals}"
    refused = [sum(judged[name].failure is not None for judged in rows) for name in (*OURS, *THEIRS)]
    yield f"no file: {', '.join(f'{name} {count}' for name, count in zip((*OURS, *THEIRS), refused, strict=True))}"


def _ahead(judged: Mapping[str, Judged], target: str, field: str) -> bool:
    """Whether a file of ours is at least as close as all of theirs that there are."""
    own = getattr(judged[target], field)
    return bool(own >= max(np.nan_to_num(getattr(judged[name], field), nan=-np.inf) for name in THEIRS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    print(line("worst slice, dB", ["here", "", "", "", "exact"]))
    print(line("file", (*OURS, *THEIRS) * 2), flush=True)
    rows = []
    for maker, opset, seed in FILES:
        fresh = [batch for start in FRESH for batch in foreign(maker, opset, seed, batches_from=start).batches]
        judged = row(foreign(maker, opset, seed), fresh)
        values = [getattr(each, field) for field in ("here", "exact") for each in judged.values()]
        print(line(f"{maker} {opset}", [f"{value:.1f}" for value in values]), flush=True)
        for name, each in judged.items():
            if each.failure is not None:
                print(f"  {name}: {each.failure}"[:80])
        rows.append(judged)
    print("\n".join(summary(rows)))


if __name__ == "__main__":
    main()
