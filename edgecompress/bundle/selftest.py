"""Self-test of a bundle, on the device: python selftest.py

Needs Python, numpy and onnxruntime, and nothing else. It checks the hash of every file, runs the golden
inputs, compares the outputs with those recorded when the bundle was written, times the model, and
prints one JSON document. Exit status: 0 all is well, 1 something differs.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgecompress.metrics.slices import comparable, lost_slices, output_db, tabulate

MIN_SQNR_DB = 25.0
MIN_AGREEMENT = 0.75
RUNS = 50
SATURATES = (
    "this CPU adds products of 8-bit numbers in 16 bits, where they saturate: parity is that of exact sums,"
    " deployed_parity that of sessions as they are by default; open them with session.x64quantprecision=1, or"
    " compress with quantization.scheme=fbgemm"
)


def check_files(folder: Path) -> dict[str, str]:
    """The state of every file: ``ok``, ``changed``, ``missing`` or ``unknown``."""
    content = (folder / "manifest.json").read_bytes()
    manifest = json.loads(content)
    digest = manifest.pop("digest", None)
    whole = digest == hashlib.sha256(canonical(manifest)).hexdigest()
    whole = whole and canonical({**manifest, "digest": digest}) == content
    states = {"manifest.json": "ok" if whole else "changed"}
    for name, entry in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            states[name] = "missing"
        else:
            same = hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
            states[name] = "ok" if same else "changed"
    for path in folder.iterdir():
        if (
            path.name != "manifest.sig"
        ):  # needs a key and more than Python's own modules: edgecompress validate checks it
            states.setdefault(path.name, "unknown")
    return states


def canonical(document: dict[str, Any]) -> bytes:
    """The form in which the manifest was written."""
    return (json.dumps(document, sort_keys=True, indent=2) + "\n").encode("ascii")


def check_outputs(
    session: Any, golden: Any, class_axis: int | None = None, names: Sequence[str] = ()
) -> dict[str, Any]:
    """How far this device's outputs are from the recorded ones: the worst of them, and the slices that were lost.

    ``class_axis`` is the axis of the first output along which the scores of classes lie, where it has any; ``names``
    are those of the outputs.
    """
    taken = {spec.name: golden[f"input_{spec.name}"] for spec in session.get_inputs()}
    outputs = session.run(None, taken)
    wanted = [golden[f"output_{index}"] for index in range(len(outputs))]
    tables = list(map(tabulate, wanted, outputs))
    errors = [abs(first - second).max(initial=0.0) for first, second in map(comparable, wanted, outputs)]
    called = [names[index] if names else f"output_{index}" for index in range(len(outputs))]
    same = None
    if class_axis is not None:
        same = float((wanted[0].argmax(class_axis) == outputs[0].argmax(class_axis)).mean())
    return {
        "sqnr_db": min(map(output_db, tables)),
        "max_abs_error": float(max(errors)),
        "top1_agreement": same,
        "identical": not any(errors),
        "lost": [lost for found in map(lost_slices, called, tables) for lost in found],
    }


def is_close(parity: dict[str, Any]) -> bool:
    """Whether the outputs are those that were recorded, as far as CPUs may differ."""
    same = parity["top1_agreement"]
    return parity["sqnr_db"] >= MIN_SQNR_DB and not parity["lost"] and (same is None or same >= MIN_AGREEMENT)


def measure_latency(session: Any, golden: Any) -> dict[str, float]:
    """Milliseconds for one sample on this device, at one thread."""
    import numpy as np

    inputs = {}
    for spec in session.get_inputs():
        array, key = golden[f"input_{spec.name}"], f"axis_{spec.name}"
        axis = int(golden[key]) if key in golden else 0
        rows = 1 if axis < 0 or not isinstance(spec.shape[axis], int) else spec.shape[axis]
        inputs[spec.name] = array if axis < 0 else array.take(range(rows), axis)
    times = []
    for _ in range(RUNS + 5):
        start = time.perf_counter()
        session.run(None, inputs)
        times.append((time.perf_counter() - start) * 1000)
    median, p95, p99 = np.percentile(times[5:], [50, 95, 99])
    return {"median": float(median), "p95": float(p95), "p99": float(p99)}


def run(folder: Path) -> dict[str, Any]:
    """The whole report; hashes come first, and a changed model is not run."""
    report: dict[str, Any] = {"device": f"{platform.machine()} {platform.system()}", "files": check_files(folder)}
    if any(state != "ok" for state in report["files"].values()):
        return {**report, "verdict": "fail"}
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # without it, ONNX Runtime writes $TMPDIR/.ses
    import numpy as np
    import onnxruntime as ort

    report["onnxruntime"] = ort.__version__
    manifest = json.loads((folder / "manifest.json").read_bytes())
    with np.load(folder / "selftest.npz", allow_pickle=False) as golden:
        exact = manifest["metrics"]["parity"].get("arithmetic") == "exact"
        session = open_session(folder / "model.onnx")
        known = manifest["metrics"]["accuracy"].get("class_axis"), [spec.name for spec in session.get_outputs()]
        parity = check_outputs(open_session(folder / "model.onnx", exact=exact), golden, *known)
        deployed = check_outputs(session, golden, *known)
        report["parity"] = parity
        close = [is_close(parity)]
        report["latency_ms"] = measure_latency(session, golden)
        if (folder / "model.ort").is_file():
            session = open_session(folder / "model.ort")
            report["ort_parity"] = check_outputs(session, golden, *known)
            report["ort_latency_ms"] = measure_latency(session, golden)
        if deployed != parity:
            report.update(deployed_parity=deployed, saturates=SATURATES)
        if deployed == parity or is_for_this_machine(manifest["recipe"]["cpu"].get("isa")):
            close += [is_close(deployed), is_close(report.get("ort_parity", deployed))]
    return {**report, "verdict": "pass" if all(close) else "fail"}


def open_session(path: Path, *, exact: bool = False) -> Any:
    """A session as it is opened by default, or one in which sums of 8-bit products are exact on any CPU."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.x64quantprecision", str(int(exact)))
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def is_for_this_machine(isa: str | None) -> bool:
    """Whether the target's CPU may be of this machine's kind: x86 does not judge what was made for Arm only."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return isa is None or isa.startswith("x86") == x86


def main() -> int:
    """Print the report of the bundle in which this file lies."""
    folder = Path(__file__).resolve().parent
    sys.dont_write_bytecode = True
    try:
        report = run(folder)
    except Exception as error:  # a damaged bundle can fail anywhere; the verdict is the same
        report = {"verdict": "fail", "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(report, indent=2))
    return 0 if report["verdict"] == "pass" else 1


if __name__ == "__main__":
    sys.exit(main())
