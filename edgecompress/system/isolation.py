"""Native code in a child process: a crash, a hang or a memory bomb in it costs one line, not this process."""

from __future__ import annotations

import os
import signal
import subprocess  # of this very Python  # nosec B404
import sys
from collections.abc import Sequence
from pathlib import Path

from edgecompress.errors import InputError, ModelError
from edgecompress.system import onnx_sanitizer
from edgecompress.system.scratch import scratch_folder

TIMEOUT_S = 300.0
LEAST_MEMORY_BYTES = 4 * 2**30

# The child imports nothing of edgecompress, so that it starts quickly and stays small. Its own limit on CPU time ends
# it where this process was killed and no longer waits; a core dump of a network would fill the disk.
LIMITS = """
import sys
seconds, memory = int(sys.argv.pop(1)), int(sys.argv.pop(1))
try:
    import resource
except ImportError:
    pass
else:
    for kind, limit in (("RLIMIT_CPU", seconds), ("RLIMIT_AS", memory), ("RLIMIT_CORE", 0)):
        most = resource.getrlimit(getattr(resource, kind))[1]
        limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(getattr(resource, kind), (limit, limit))
"""
# What is merely invalid is told by who loads it for use, in better words; here it is no fault.
LOAD = """
import sys
import numpy, onnx, onnxruntime
path = sys.argv[1]

def made_up(spec):
    name = spec.type[len("tensor("):-1]
    dtype = numpy.dtype({"float": "float32", "double": "float64"}.get(name, name))
    return numpy.zeros([size if isinstance(size, int) else 1 for size in spec.shape], dtype)

try:
    if path.endswith(".onnx"):
        onnx.checker.check_model(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    session.run(None, {spec.name: made_up(spec) for spec in session.get_inputs()})
except MemoryError:
    raise
except Exception as error:
    if "alloc" in str(error):
        raise MemoryError from None
"""

SCRIPT = """
import runpy, sys
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def memory_limit() -> int:
    """Bytes that a child may take: three quarters of the machine's memory, and at least 4 GiB."""
    names = ("SC_PHYS_PAGES", "SC_PAGE_SIZE")
    machine = os.sysconf(names[0]) * os.sysconf(names[1]) if hasattr(os, "sysconf") else 0
    return max(LEAST_MEMORY_BYTES, machine * 3 // 4)


def run_isolated(
    code: str, arguments: Sequence[str], *, timeout_s: float = TIMEOUT_S, memory_bytes: int | None = None
) -> str | None:
    """Run Python code in a child process; returns the reason why it failed, or None.

    Args:
        code: finds its arguments from ``sys.argv[1]`` on.
        arguments: of the code.
        timeout_s: seconds after which it is ended.
        memory_bytes: address space that it may take, by default :func:`memory_limit`.
    """
    memory = memory_bytes or memory_limit()
    seconds = int(timeout_s * (os.cpu_count() or 1)) + 1
    # -P: the current folder may hold a user's own onnx.py, which must not be imported here.
    command = [sys.executable, "-P", "-c", LIMITS + code, str(seconds), str(memory), *arguments]
    try:
        done = subprocess.run(  # no shell, our own code  # nosec B603
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {timeout_s:g} s"
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"it was ended by signal {-done.returncode} ({signal.Signals(-done.returncode).name})"
    lines = done.stderr.strip().splitlines() or ["no message"]
    if "MemoryError" in lines[-1] or "bad_alloc" in lines[-1]:
        return f"it needs more than {memory / 2**30:.1f} GiB of memory"
    return f"it failed: {lines[-1]}"


def run_script_isolated(
    script: Path, arguments: Sequence[str], *, timeout_s: float = TIMEOUT_S, memory_bytes: int | None = None
) -> str | None:
    """The same for a file of Python code, which is run as ``__main__``."""
    return run_isolated(SCRIPT, [str(script), *arguments], timeout_s=timeout_s, memory_bytes=memory_bytes)


def load_fault(path: Path, *, timeout_s: float = TIMEOUT_S, memory_bytes: int | None = None) -> str | None:
    """What happens when ONNX Runtime loads a file for the first time and runs it on zeros; None where it survives.

    A file that ONNX Runtime merely refuses has survived: whoever loads it next is told why.
    """
    return run_isolated(LOAD, [str(path)], timeout_s=timeout_s, memory_bytes=memory_bytes)


def sanitize_onnx(source: Path, folder: Path, *, upgrade: bool = True) -> str | None:
    """Let :func:`edgecompress.system.onnx_sanitizer.sanitize` read a stranger's ONNX file in a child process.

    Args:
        source: the file.
        folder: what comes of it.
        upgrade: convert an old opset.

    Returns:
        What broke, and how: a crash, a hang, or too much memory; None where the child came to its end.
    """
    fault = run_script_isolated(
        Path(onnx_sanitizer.__file__), [str(source), str(folder), "upgrade" if upgrade else "as it is"]
    )
    stage = folder / onnx_sanitizer.STAGE
    return None if fault is None else f"{stage.read_text() if stage.exists() else 'Python'}: {fault}"


def require_survives(path: Path, name: str, error_type: type[InputError], fix: str) -> None:
    """Check in a child process that a file does no harm in ONNX Runtime, before it is loaded in this one.

    Raises:
        error_type: it crashes, hangs, or needs more memory than there is.
    """
    fault = load_fault(path)
    if fault is not None:
        raise error_type(f"{name} breaks ONNX Runtime: {fault}; {fix}")


def require_bytes_survive(content: bytes, name: str, error_type: type[InputError], fix: str) -> None:
    """The same for a file that is not on the disk yet."""
    with scratch_folder() as folder:
        (folder / "model.onnx").write_bytes(content)
        require_survives(folder / "model.onnx", name, error_type, fix)


def require_file(path: Path) -> None:
    """Check that a model's file is there.

    Raises:
        ModelError: it is not, or it is a folder.
    """
    if path.is_dir():
        raise ModelError(f"{str(path)!r} is a folder; give a file in it, {path / 'model.onnx'} for a bundle")
    if not path.is_file():
        is_code = ".py:" in str(path)
        fix = "it is code, and this takes ONNX files: compress it first" if is_code else "check the path"
        raise ModelError(f"model file {str(path)!r} does not exist; {fix}")
