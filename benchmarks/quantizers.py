"""The quantizers side by side, ours and the peers', each run in a process of its own.

``python -m benchmarks.quantizers FOLDER NUMBER`` quantizes ``FOLDER/float.onnx`` as candidate NUMBER, on the batches in
``FOLDER/calibration``, and writes ``FOLDER/NUMBER.onnx``.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.subjects import Kind, calibration_batches

Tool = Literal["edgecompress", "edgecompress_openvino", "ort", "nncf", "openvino", "openvino_float", "onnxsim"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A tool and its settings; ``kinds`` are the networks that the settings are meant for."""

    name: str
    tool: Tool
    settings: Mapping[str, Any] = field(default_factory=dict)
    kinds: tuple[Kind, ...] = ("residual", "mobile", "transformer", "small")


def _ours(name: str, **settings: Any) -> Candidate:
    return Candidate(name=f"edgecompress, {name}", tool="edgecompress", settings=settings)


def _runtime(name: str, **settings: Any) -> Candidate:
    return Candidate(name=f"ONNX Runtime, {name}", tool="ort", settings=settings)


NARROW: Mapping[str, Any] = {"scheme": "fbgemm", "adaround": True, "bias_correction": True, "narrow": "auto"}
IN_OPENVINO: Mapping[str, Any] = NARROW
"""As target ``openvino-cpu`` has it."""
CANDIDATES = (
    _ours("qnnpack", scheme="qnnpack", adaround=True, bias_correction=True),
    _ours("fbgemm", scheme="fbgemm", adaround=True, bias_correction=True),
    _ours("fbgemm, narrow auto", **NARROW),
    _ours("fbgemm, placement measured", **NARROW, placement="measured"),
    _ours("qnnpack, placement measured", scheme="qnnpack", adaround=True, bias_correction=True, placement="measured"),
    _runtime("min-max", calibrate_method="MinMax"),
    _runtime("percentile", calibrate_method="Percentile"),
    _runtime("entropy", calibrate_method="Entropy"),
    _runtime("reduce_range", calibrate_method="MinMax", reduce_range=True),
    Candidate(name="NNCF, default", tool="nncf"),
    Candidate(name="NNCF, preset mixed", tool="nncf", settings={"preset": "MIXED"}, kinds=("mobile",)),
    Candidate(name="NNCF, transformer", tool="nncf", settings={"model_type": "TRANSFORMER"}, kinds=("transformer",)),
    Candidate(name="floats in OpenVINO", tool="openvino_float"),
    Candidate(name="NNCF in OpenVINO", tool="openvino"),
    Candidate(name="edgecompress in OpenVINO", tool="edgecompress_openvino", settings=IN_OPENVINO),
    Candidate(name="onnxsim, static", tool="onnxsim"),
    Candidate(name="onnxsim, full graph", tool="onnxsim", settings={"full_graph": True}),
)

TIME_LIMIT_S = 1200.0
IN_XML: tuple[Tool, ...] = ("edgecompress_openvino", "openvino", "openvino_float")
"""Whose files are OpenVINO's, and run there."""
MODULES: Mapping[Tool, tuple[str, ...]] = {
    "edgecompress": ("edgecompress", "edgecompress.pipeline.fold"),
    "ort": ("onnxruntime.quantization", "onnxruntime.quantization.shape_inference"),
    "nncf": ("nncf", "nncf.onnx.quantization.quantize_model"),
    "edgecompress_openvino": ("edgecompress", "edgecompress.pipeline.fold", "openvino"),
    "openvino": ("nncf", "openvino"),
    "openvino_float": ("openvino",),
    "onnxsim": ("onnxsim",),
}
"""Imported before the clock starts."""


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """What a child process left: the file, or the reason in one line why there is none.

    ``seconds`` is from the float file to the INT8 file, without imports; ``peak_bytes`` is the largest resident
    memory of the process, with them.
    """

    candidate: Candidate
    file: Path
    seconds: float = 0.0
    peak_bytes: int = 0
    failure: str | None = None


def run_candidate(number: int, folder: Path, memory_bytes: int, limit_s: float = TIME_LIMIT_S) -> Quantized:
    """Quantize as candidate ``number``, in a child that may hold ``memory_bytes`` of data and take ``limit_s``."""
    candidate, file = CANDIDATES[number], output_file(number, folder)
    command = [sys.executable, "-m", "benchmarks.quantizers", str(folder), str(number), str(memory_bytes)]
    root = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])}
    log = folder / f"{number}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder, env=environment)
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return Quantized(candidate=candidate, file=file, failure=f"not done after {limit_s:g} s")
    if status:
        return Quantized(candidate=candidate, file=file, failure=reason(status, log.read_text(errors="replace")))
    return Quantized(candidate=candidate, file=file, **json.loads((folder / f"{number}.json").read_text()))


def output_file(number: int, folder: Path) -> Path:
    """Where the candidate of that number writes its file."""
    return folder / f"{number}{'.xml' if CANDIDATES[number].tool in IN_XML else '.onnx'}"


def reason(status: int, log: str) -> str:
    """Why a child ended with that status, in one line.

    >>> reason(1, "Traceback ...\\nImportError: no nncf\\n")
    'ImportError: no nncf'
    >>> reason(-9, "")
    'ended with status -9'
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else f"ended with status {status}"


def _edgecompress(folder: Path, output: Path, settings: Mapping[str, Any]) -> None:
    from edgecompress.data.splits import Streams
    from edgecompress.loading.models import load_model
    from edgecompress.loading.sources import open_batches
    from edgecompress.pipeline.fold import convert
    from edgecompress.recipe.tables import Quantization, Recipe
    from edgecompress.runtime import to_bytes
    from edgecompress.techniques.context import Context

    model = load_model(str(folder / "float.onnx"))
    recipe = Recipe(quantization=Quantization(enabled=True, **settings))
    batches = open_batches(lambda: calibration_batches(folder), "calibration", model, recipe)
    done = convert(model, Context(recipe=recipe, example=batches.first(), streams=Streams(calibration=batches)))
    output.write_bytes(to_bytes(done.artifact))


def _in_openvino(folder: Path, output: Path, settings: Mapping[str, Any]) -> None:
    """Our own file, as OpenVINO reads it."""
    file = output.with_suffix(".onnx")
    _edgecompress(folder, file, settings)
    _converted(file, output)


def _floats(folder: Path, output: Path, _: Mapping[str, Any]) -> None:
    """The float model, as OpenVINO reads it."""
    _converted(folder / "float.onnx", output)


def _converted(file: Path, output: Path) -> None:
    import openvino

    openvino.save_model(openvino.convert_model(file), output, compress_to_fp16=False)


def _ort(folder: Path, output: Path, settings: Mapping[str, Any]) -> None:
    """As ONNX Runtime's documentation advises: its own preparation, QDQ, a scale for each channel, uint8 by int8."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    quantize_static(
        str(_prepared(folder / "float.onnx", output.with_suffix(".prepared.onnx"))),
        str(output),
        _Reader(folder),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=settings.get("reduce_range", False),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod[settings["calibrate_method"]],
    )


def _prepared(file: Path, prepared: Path) -> Path:
    from onnxruntime.quantization.shape_inference import quant_pre_process

    try:
        quant_pre_process(str(file), str(prepared))
    except Exception:  # its symbolic shapes know fewer operators than its quantizer
        quant_pre_process(str(file), str(prepared), skip_symbolic_shape=True)
    return prepared


class _Reader:
    """ONNX Runtime's interface to calibration data."""

    def __init__(self, folder: Path) -> None:
        self._batches = calibration_batches(folder)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


def _nncf(folder: Path, output: Path, settings: Mapping[str, Any]) -> None:
    """Image by image, since its statistics are means over what it is given at once."""
    import nncf
    import onnx

    model = onnx.load(folder / "float.onnx")
    chosen: dict[str, Any] = {
        "preset": nncf.QuantizationPreset[settings["preset"]] if "preset" in settings else None,
        "model_type": nncf.ModelType[settings["model_type"]] if "model_type" in settings else None,
    }
    onnx.save(nncf.quantize(model, nncf.Dataset(_Images(folder)), **chosen), output)


def _openvino(folder: Path, output: Path, settings: Mapping[str, Any]) -> None:
    """As OpenVINO's documentation advises: NNCF on OpenVINO's own model."""
    import nncf
    import openvino

    model = openvino.convert_model(folder / "float.onnx")
    quantized = nncf.quantize(model, nncf.Dataset(_Images(folder)), **settings)
    openvino.save_model(quantized, output, compress_to_fp16=False)


class _Images:
    """The calibration images one at a time, as often as they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in calibration_batches(self._folder):
            rows = len(next(iter(batch.values())))
            for row in range(rows):
                yield {name: array[row : row + 1] for name, array in batch.items()}


def _onnxsim(folder: Path, output: Path, settings: Mapping[str, Any]) -> None:
    import onnx
    import onnxsim

    model, checked = onnxsim.simplify(onnx.load(folder / "float.onnx"))
    assert checked
    onnx.save(onnxsim.quantize_static(model, list(calibration_batches(folder)), **settings), output)


TOOLS: Mapping[Tool, Callable[[Path, Path, Mapping[str, Any]], None]] = {
    "edgecompress": _edgecompress,
    "edgecompress_openvino": _in_openvino,
    "ort": _ort,
    "nncf": _nncf,
    "openvino": _openvino,
    "openvino_float": _floats,
    "onnxsim": _onnxsim,
}


def _peak_bytes() -> int:
    """The largest resident memory of this process, or of a child of its own where that was larger."""
    # Not ru_maxrss of this process: it starts at that of the process from which this one was forked.
    status = Path("/proc/self/status").read_text()
    own = int(status.split("VmHWM:")[1].split()[0])
    return 1024 * max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def main() -> None:
    """The child: quantize, note the time, and see that the file is taken."""
    from benchmarks.sessions import open_file
    from edgecompress.runtime import run_session

    folder, number, memory_bytes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    candidate, output = CANDIDATES[number], output_file(number, folder)
    for module in MODULES[candidate.tool]:
        importlib.import_module(module)
    start = time.perf_counter()
    TOOLS[candidate.tool](folder, output, candidate.settings)
    cost = {"seconds": time.perf_counter() - start, "peak_bytes": _peak_bytes()}
    (folder / f"{number}.json").write_text(json.dumps(cost))
    first = next(calibration_batches(folder))
    run_session(open_file(output, 1), {name: array[:1] for name, array in first.items()})


if __name__ == "__main__":
    main()
