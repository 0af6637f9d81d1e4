"""What a supervisor starts on a device: python program.py probe | run | times | peak FILE, in a folder of its own.

It needs Python 3.8, numpy and onnxruntime, and nothing else. ``probe`` writes ``probe.json``, what the device is.
``run`` reads ``task.json``, runs ``model.onnx`` on ``inputs.npz`` and writes ``outputs.npz``, then times it next to
``original.onnx``, where that is there, on ``sample.npz``, and writes ``answer.json``. ``times`` times the networks that
``task.json`` lists, and the graphs in ``operators.zip``, and writes ``times.json``. ``peak`` writes ``FILE.json``,
the most memory that a session of the file took. A failure is one line on standard error and status 1.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import threading
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path("/")
SITE = "site"
"""The folder of packages that were brought along."""
OPERATORS = "operators.zip"
COLDEST_C, HOTTEST_C = 0, 150
"""Beyond these a sensor is broken, or measures something else."""


def probe() -> dict[str, Any]:
    """What the device is, and what is installed there."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "libc": list(platform.libc_ver()),
        "cores": sorted(cores()),
        "model": device_model(),
        "cpu": cpu_lines(),
        **installed(),
    }


def installed() -> dict[str, Any]:
    """Versions of what the run needs, or why it does not load."""
    try:
        import numpy
        import onnxruntime
    except Exception as error:  # a broken installation can raise anything
        return {"missing": " ".join(str(error).split()) or type(error).__name__}
    return {"numpy": numpy.__version__, "onnxruntime": onnxruntime.__version__}


def cores() -> set[int]:
    """The numbers of the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def device_model(root: Path = ROOT) -> str:
    """What a board calls itself, in the device tree or the firmware; empty where it does not tell."""
    names = ("proc/device-tree/model", "sys/class/dmi/id/product_name")
    return next(filter(None, (read(root / name).strip(" \0\n") for name in names)), "")


def cpu_lines(root: Path = ROOT) -> dict[str, list[str]]:
    """What /proc/cpuinfo says of the kinds of its cores, each once."""
    found: dict[str, list[str]] = {}
    for line in read(root / "proc/cpuinfo").splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key in ("model name", "CPU implementer", "CPU part") and value not in found.setdefault(key, []):
            found[key].append(value)
    return found


def conditions(numbers: set[int], root: Path = ROOT) -> dict[str, float]:
    """The highest temperature in degrees Celsius, and the lowest clock of these cores in MHz, where these are told."""
    found = {}
    heats = [number(file) / 1000 for file in root.glob("sys/class/thermal/thermal_zone*/temp")]
    believed = [heat for heat in heats if COLDEST_C < heat < HOTTEST_C]
    if believed:
        found["temperature_c"] = max(believed)
    folder = root / "sys/devices/system/cpu"
    clocks = [number(folder / f"cpu{core}" / "cpufreq/scaling_cur_freq") / 1000 for core in numbers]
    if any(clocks):
        found["clock_mhz"] = min(filter(None, clocks))
    return found


def read(file: Path) -> str:
    """A file's text; empty where it cannot be read."""
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def number(file: Path) -> float:
    """The number in a file; 0 where there is none."""
    try:
        return float(read(file))
    except ValueError:
        return 0.0


def open_session(file: str | bytes, threads: int) -> Any:
    """A session as an application opens it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        what = json.loads(Path("task.json").read_text())["called"].get(file, "the artifact")
        why = " ".join(str(error).split())
        raise RuntimeError(f"ONNX Runtime {onnxruntime.__version__} refuses {what}: {why}") from None


def run_batches(threads: int) -> None:
    """Run every batch, and save the outputs by batch and name."""
    import numpy

    session, found = open_session("model.onnx", threads), {}
    names = [spec.name for spec in session.get_outputs()]
    with numpy.load("inputs.npz", allow_pickle=False) as pack:
        for batch in sorted({name.partition("_")[0] for name in pack.files}):
            feed = {spec.name: pack[f"{batch}_{spec.name}"] for spec in session.get_inputs()}
            for name, array in zip(names, session.run(None, feed)):  # noqa: B905 - strict came with Python 3.10
                found[f"{batch}_{name}"] = array
    numpy.savez("outputs.npz", **found)


def feed_of(session: Any) -> dict[str, Any]:
    """One sample for a session."""
    import numpy

    with numpy.load("sample.npz", allow_pickle=False) as pack:
        return {spec.name: pack[f"0_{spec.name}"] for spec in session.get_inputs()}


def open_call(file: str, threads: int) -> Any:
    """A call of a new session on one sample."""
    session = open_session(file, threads)
    return partial(session.run, None, feed_of(session))


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Outputs and times, with what the device was like before and after these."""
    from edgecompress.timing.interleaving import interleave_anew

    keep_to(set(task["cores"]))
    run_batches(task["threads"])
    found = probe()
    if task["runs"]:
        files = [name for name in ("original.onnx", "model.onnx") if Path(name).is_file()]
        before = conditions(cores())
        times = interleave_anew([partial(open_call, name, task["threads"]) for name in files], task["runs"])
        found.update(times_ms=times.tolist(), before=before, after=conditions(cores()))
    return found


def times(task: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds of networks in turn on the sample, and the least of each operator of the archive."""
    from edgecompress.timing.interleaving import interleave_anew

    keep_to(set(task["cores"]))
    threads, found = task["threads"], {}
    if task["networks"]:
        openers = [partial(open_call, name, threads) for name in task["networks"]]
        found["networks_ms"] = interleave_anew(openers, task["runs"]).tolist()
    if Path(OPERATORS).is_file():
        with zipfile.ZipFile(OPERATORS) as archive:
            found["operators_ms"] = [operator_ms(archive.read(name), threads) for name in archive.namelist()]
    return found


def operator_ms(model: bytes, threads: int) -> float:
    """The least milliseconds of a graph with one float32 input of a fixed shape."""
    import numpy

    from edgecompress.timing.interleaving import least_ms

    session = open_session(model, threads)
    (spec,) = session.get_inputs()
    source = numpy.random.default_rng(0).standard_normal(spec.shape).astype("float32")
    return least_ms(partial(session.run, None, {spec.name: source}))


def keep_to(wanted: set[int]) -> None:
    """Run only on these cores, where any are named."""
    if not wanted <= cores():
        raise RuntimeError(f"device.cores names other cores than {', '.join(map(str, sorted(cores())))}")
    if wanted:
        os.sched_setaffinity(0, wanted)


def peak(file: str) -> dict[str, Any]:
    """The most memory of this process in bytes, after a session of a file ran three times."""
    session = open_session(file, 1)
    for _ in range(3):
        session.run(None, feed_of(session))
    status = dict(line.split(":", 1) for line in read(Path("/proc/self/status")).splitlines())
    return {"bytes": 1024 * int(status["VmHWM"].split()[0])}


def end_with_supervisor() -> None:
    """Where the supervisor is killed, remove its folder and end: a thread waits for that."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        shutil.rmtree(str(Path.cwd()), ignore_errors=True)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def answer(what: str, file: str) -> tuple[str, dict[str, Any]]:
    """The name of the file that is asked for, and what to write there."""
    if what == "run":
        return "answer.json", run(json.loads(Path("task.json").read_text()))
    if what == "times":
        return "times.json", times(json.loads(Path("task.json").read_text()))
    return (f"{file}.json", peak(file)) if what == "peak" else ("probe.json", probe())


def main() -> int:
    """Do what the command line names."""
    end_with_supervisor()
    sys.path[:0] = [str(Path.cwd()), str(Path.cwd() / SITE)]  # which Python leaves out where it is told to be safe
    try:
        name, found = answer(sys.argv[1], "".join(sys.argv[2:]))
        Path(name).write_text(json.dumps(found))
    except Exception as error:  # whatever it is, the host shows one line
        told = error.strerror if isinstance(error, OSError) else None
        sys.stderr.write(" ".join((told or str(error) or type(error).__name__).split()) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
