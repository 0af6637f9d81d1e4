"""Self-test of a bundle, on the device: python selftest.py

Needs Python, numpy and onnxruntime, and nothing else. It checks the hash of every file, runs the golden
inputs, compares the outputs with those recorded when the bundle was written, times the model, and
prints one JSON document. Exit status: 0 all is well, 1 something differs, 2 an argument is wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgecompress.metrics.slices import comparable, lost_slices, output_db, tabulate

MIN_SQNR_DB = 25.0
MIN_AGREEMENT = 0.75
RUNS, MOST_RUNS = 50, 100_000
MOST_THREADS = 256
WARM_UP_RUNS = 5
PARTS = 10
GIVE_ORIGINAL = "give the float model of this bundle"
UNTOLD = (
    "the speedup is not measured; give the float model as --original FLOAT.onnx, which edgecompress compress with"
    " --set quantization.enabled=false writes"
)
SATURATES = (
    "this CPU adds products of 8-bit numbers in 16 bits, where they saturate: parity is that of exact sums,"
    " deployed_parity that of sessions as they are by default; open them with session.x64quantprecision=1, or"
    " compress with quantization.scheme=fbgemm"
)


def check_files(folder: Path, original: Path | None = None) -> dict[str, str]:
    """The state of every file but the user's own float model: ``ok``, ``changed``, ``missing`` or ``unknown``."""
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
        # manifest.sig needs a key and more than Python's own modules: edgecompress validate checks it
        if path.name != "manifest.sig" and not is_same(path, original):
            states.setdefault(path.name, "unknown")
    return states


def is_same(path: Path, original: Path | None) -> bool:
    """Whether it is the user's own float model, or a link to it."""
    return original is not None and path.exists() and path.samefile(original)


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


def axis_of(golden: Any, name: str) -> int:
    """Along which axis an input holds its samples; -1 where it has none."""
    key = f"axis_{name}"
    return int(golden[key]) if key in golden else 0


def fixed_rows(session: Any, golden: Any) -> int | None:
    """How many samples a file takes at once; None where it takes any number of them."""
    for spec in session.get_inputs():
        axis = axis_of(golden, spec.name)
        if 0 <= axis < len(spec.shape) and isinstance(spec.shape[axis], int):
            return int(spec.shape[axis])
    return None


def rows_for(sessions: Sequence[Any], golden: Any) -> int:
    """How many samples are timed: one, or as many as one of the files takes at once."""
    return next((rows for session in sessions if (rows := fixed_rows(session, golden))), 1)


def take_rows(golden: Any, names: Sequence[str], rows: int) -> dict[str, Any]:
    """The golden inputs of so many samples: the first ones, repeated where there are too few."""
    taken = {}
    for name in names:
        array, axis = golden[f"input_{name}"], axis_of(golden, name)
        taken[name] = array if axis < 0 else array.take([row % array.shape[axis] for row in range(rows)], axis)
    return taken


def time_in_turn(sessions: Sequence[Any], inputs: dict[str, Any], runs: int) -> list[list[float]]:
    """Milliseconds of one run on the same inputs, a list of each session; every other round goes backwards."""
    times: list[list[float]] = [[] for _ in sessions]
    for number in range(WARM_UP_RUNS + runs):
        order = range(len(sessions))
        for index in order if number % 2 == 0 else reversed(order):
            start = time.perf_counter()
            sessions[index].run(None, inputs)
            times[index].append((time.perf_counter() - start) * 1000)
    return [each[WARM_UP_RUNS:] for each in times]


def summarize(times: Sequence[float]) -> dict[str, float]:
    """The percentiles that are told of times."""
    import numpy as np

    median, p95, p99 = np.percentile(times, [50, 95, 99])
    return {"median": float(median), "p95": float(p95), "p99": float(p99)}


def measure_latency(session: Any, inputs: dict[str, Any], runs: int | None = None) -> dict[str, float]:
    """Milliseconds of one run on this device."""
    return summarize(time_in_turn([session], inputs, runs or RUNS)[0])


def speedup_of(original: Sequence[float], artifact: Sequence[float]) -> dict[str, float]:
    """The median ratio of the rounds; ``low`` and ``high`` are the least and the largest of ten parts of them."""
    import numpy as np

    ratios = np.array(original) / np.array(artifact)
    medians = [float(np.median(part)) for part in np.array_split(ratios, min(PARTS, len(ratios)))]
    return {"ratio": float(np.median(ratios)), "low": min(medians), "high": max(medians)}


def latencies(session: Any, inputs: dict[str, Any], runs: int | None, original: Any = None) -> dict[str, Any]:
    """What is told of the artifact's latency, and of the float model's, which then runs in turn with it."""
    if original is None:
        return {"latency_ms": measure_latency(session, inputs, runs), "notes": [UNTOLD]}
    before, after = time_in_turn([original, session], inputs, runs or RUNS)
    return {
        "latency_ms": summarize(after),
        "original_latency_ms": summarize(before),
        "speedup": speedup_of(before, after),
    }


def run(folder: Path, original: Path | None = None, runs: int | None = None, threads: int = 1) -> dict[str, Any]:
    """The whole report; hashes come first, and a changed model is not run."""
    states = check_files(folder, original)
    report: dict[str, Any] = {"device": f"{platform.machine()} {platform.system()}", "files": states}
    if any(state != "ok" for state in states.values()):
        return {**report, "verdict": "fail"}
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # without it, ONNX Runtime writes $TMPDIR/.ses
    import numpy as np
    import onnxruntime as ort

    report["onnxruntime"] = ort.__version__
    manifest = json.loads((folder / "manifest.json").read_bytes())
    with np.load(folder / "selftest.npz", allow_pickle=False) as golden:
        exact = manifest["metrics"]["parity"].get("arithmetic") == "exact"
        session = open_session(folder / "model.onnx", threads=threads)
        known = manifest["metrics"]["accuracy"].get("class_axis"), [spec.name for spec in session.get_outputs()]
        parity = check_outputs(open_session(folder / "model.onnx", exact=exact), golden, *known)
        deployed = check_outputs(session, golden, *known)
        report["parity"] = parity
        close = [is_close(parity)]
        before = None if original is None else open_original(original, session, golden, threads)
        rows = rows_for([session] if before is None else [session, before], golden)
        inputs = take_rows(golden, [spec.name for spec in session.get_inputs()], rows)
        report.update(latencies(session, inputs, runs, before), samples=rows)
        if (folder / "model.ort").is_file():
            session = open_session(folder / "model.ort", threads=threads)
            report["ort_parity"] = check_outputs(session, golden, *known)
            report["ort_latency_ms"] = measure_latency(session, inputs, runs)
        if deployed != parity:
            report.update(deployed_parity=deployed, saturates=SATURATES)
        if deployed == parity or is_for_this_machine(manifest["recipe"]["cpu"].get("isa")):
            close += [is_close(deployed), is_close(report.get("ort_parity", deployed))]
    return {**report, "verdict": "pass" if all(close) else "fail"}


class UserError(ValueError):
    """An argument is wrong; the message says how to put it right."""


def open_original(path: Path, artifact: Any, golden: Any, threads: int) -> Any:
    """A session of the float model, which takes the artifact's inputs, and has outputs of its shapes."""
    try:
        session = open_session(path, threads=threads)
    except Exception as error:  # what ONNX Runtime raises depends on its version
        raise UserError(f"{path} cannot be run: {first_line(error)}; give the float model as an ONNX file") from error
    mine, wanted = ({spec.name: spec for spec in each.get_inputs()} for each in (session, artifact))
    if sorted(mine) != sorted(wanted):
        raise UserError(f"{path} has the inputs {', '.join(mine)} for {', '.join(wanted)}; {GIVE_ORIGINAL}")
    for name, spec in mine.items():
        if spec.type != wanted[name].type:
            raise UserError(f"{path} takes {name!r} as {spec.type} for {wanted[name].type}; {GIVE_ORIGINAL}")
    rows = rows_for([session, artifact], golden)
    own = fixed_rows(artifact, golden)
    if own not in (None, rows):
        raise UserError(
            f"{path} takes batches of {rows}, the artifact batches of {own}; give the float model with a batch of"
            f" {own}, or of any size"
        )
    inputs = take_rows(golden, list(wanted), rows)
    for name, spec in mine.items():
        if not has_shape(inputs[name], spec.shape):
            raise UserError(
                f"{path} takes {name!r} of shape {tuple(spec.shape)} for {inputs[name].shape}; {GIVE_ORIGINAL}"
            )
    require_same_outputs(path, session, artifact, inputs)
    return session


def has_shape(array: Any, declared: Sequence[Any]) -> bool:
    """Whether an array has the shape that a file declares: names and None stand for any size, () for any shape."""
    free = not declared or len(declared) == array.ndim
    return free and all(not isinstance(size, int) or size == array.shape[axis] for axis, size in enumerate(declared))


def require_same_outputs(path: Path, original: Any, artifact: Any, inputs: dict[str, Any]) -> None:
    """Refuse a float model that does not run on inputs, or whose outputs have other shapes than the artifact's."""
    shapes = []
    sizes = f"give {path} with a batch of 1, or of any size"
    for name, session, cure in ((str(path), original, GIVE_ORIGINAL), ("the artifact", artifact, sizes)):
        try:
            shapes.append([getattr(output, "shape", None) for output in session.run(None, inputs)])
        except Exception as error:  # what ONNX Runtime raises depends on its version
            given = ", ".join(str(array.shape) for array in inputs.values())
            raise UserError(f"{name} does not run on inputs {given}: {first_line(error)}; {cure}") from error
    if shapes[0] != shapes[1]:
        raise UserError(f"{path} gives outputs of shapes {shapes[0]}, the artifact {shapes[1]}; {GIVE_ORIGINAL}")


def first_line(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def open_session(path: Path, *, exact: bool = False, threads: int = 1) -> Any:
    """A session in which sums of 8-bit products are as this CPU has them, or exact on any CPU."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.x64quantprecision", str(int(exact)))
    # Else it rounds uint16 activations to int8, where a MatMul has int8 weights.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def is_for_this_machine(isa: str | None) -> bool:
    """Whether the target's CPU may be of this machine's kind: x86 does not judge what was made for Arm only."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return isa is None or isa.startswith("x86") == x86


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    made = argparse.ArgumentParser(
        prog="selftest.py",
        description="Checks the files of this bundle, runs its golden inputs on this device, and times the model.",
        epilog="Prints one JSON document. Exit status: 0 all is well, 1 something differs, 2 an argument is wrong.",
    )
    made.add_argument(
        "--original",
        type=Path,
        metavar="FLOAT.onnx",
        help="the float model, which is timed in turn with the artifact and gives the speedup",
    )
    made.add_argument(
        "--runs",
        type=number_to(MOST_RUNS),
        default=RUNS,
        metavar="N",
        help="timed runs of each file (default: %(default)s)",
    )
    made.add_argument(
        "--threads",
        type=number_to(MOST_THREADS),
        default=1,
        metavar="N",
        help="threads of ONNX Runtime (default: %(default)s)",
    )
    return made


def number_to(most: int) -> Callable[[str], int]:
    """What reads a number from 1 to ``most``."""

    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > len(str(most)) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {most:,}; give one of these")
        return int(text)

    return read


def main() -> int:
    """Print the report of the bundle in which this file lies."""
    folder = Path(__file__).resolve().parent
    sys.dont_write_bytecode = True
    given = parser()
    asked = given.parse_args()
    if asked.original is not None and not asked.original.is_file():
        given.error(f"there is no file {asked.original}; give the float model as an ONNX file")
    try:
        report = run(folder, asked.original, asked.runs, asked.threads)
    except UserError as error:
        given.error(str(error))
    except Exception as error:  # a damaged bundle can fail anywhere; the verdict is the same
        report = {"verdict": "fail", "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(report, indent=2))
    return 0 if report["verdict"] == "pass" else 1


if __name__ == "__main__":
    sys.exit(main())
