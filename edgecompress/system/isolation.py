"""Native code in a child process: a crash, a hang or a memory bomb in it costs one line, not this process."""

from __future__ import annotations

import os
import signal
import subprocess  # of this very Python  # nosec B404
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecompress.errors import InputError, ModelError
from edgecompress.system import onnx_sanitizer
from edgecompress.system.scratch import scratch_folder

TIMEOUT_S = 300.0
POLL_S = 0.1
OF_WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
"""How files end that hold weights and no network."""
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
    try:
        done = subprocess.run(  # no shell, our own code  # nosec B603
            _command(code, arguments, timeout_s, memory),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {timeout_s:g} s"
    return _reason(done.returncode, done.stderr, memory)


def _command(code: str, arguments: Sequence[str], timeout_s: float, memory_bytes: int) -> list[str]:
    seconds = int(timeout_s * (os.cpu_count() or 1)) + 1
    # -P: the current folder may hold a user's own onnx.py, which must not be imported here.
    return [sys.executable, "-P", "-c", LIMITS + code, str(seconds), str(memory_bytes), *arguments]


def _reason(status: int, said: str, memory_bytes: int) -> str | None:
    """Why a child failed, by its exit status and what it said last; None where it did not."""
    if status == 0:
        return None
    lines = said.strip().splitlines() or ["no message"]
    if "MemoryError" in lines[-1] or "bad_alloc" in lines[-1]:
        return f"it needs more than {memory_bytes / 2**30:.1f} GiB of memory"
    return f"it was ended by {signal_name(-status)}" if status < 0 else f"it failed: {lines[-1]}"


def signal_name(number: int) -> str:
    """A signal as messages call it.

    >>> signal_name(signal.SIGSEGV), signal_name(40)
    ('signal 11 (SIGSEGV)', 'signal 40')
    >>> signal_name(signal.SIGKILL)  # what the system sends where memory runs out
    'signal 9 (SIGKILL), as where memory runs out'
    """
    name = next((f" ({each.name})" for each in signal.Signals if each == number), "")
    return f"signal {int(number)}{name}{', as where memory runs out' if name == ' (SIGKILL)' else ''}"


def run_script_isolated(
    script: Path, arguments: Sequence[str], *, timeout_s: float = TIMEOUT_S, memory_bytes: int | None = None
) -> str | None:
    """The same for a file of Python code, which is run as ``__main__``."""
    return run_isolated(SCRIPT, [str(script), *arguments], timeout_s=timeout_s, memory_bytes=memory_bytes)


class WatchedScript:
    """A file of Python code in a child process, iterated over as it works: an item for each byte in a file of beats.

    ``fault`` is the reason why it failed, or None, once the iteration has ended. To leave that earlier ends the child.

    Args:
        script: is run as ``__main__``.
        arguments: of the script.
        beats: to which the script adds a byte for each piece of work that is done.
        pieces: that there are.
        timeout_s: seconds without a beat after which it is ended.
        memory_bytes: as :func:`run_isolated` has it.
    """

    def __init__(
        self,
        script: Path,
        arguments: Sequence[str],
        *,
        beats: Path,
        pieces: int,
        timeout_s: float = TIMEOUT_S,
        memory_bytes: int | None = None,
    ) -> None:
        self._memory = memory_bytes or memory_limit()
        self._command = _command(SCRIPT, [str(script), *arguments], timeout_s * (pieces + 1), self._memory)
        self._beats, self._timeout_s = beats, timeout_s
        self.fault: str | None = None

    def __iter__(self) -> Iterator[int]:
        seen, since = 0, time.monotonic()
        with subprocess.Popen(  # no shell, our own code  # nosec B603
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
        ) as process:
            try:
                while True:
                    said = _said(process)
                    beaten = self._beats.stat().st_size if self._beats.exists() else 0
                    yield from range(seen, beaten)
                    if said is not None:
                        self.fault = _reason(process.returncode, said, self._memory)
                        return
                    if beaten > seen:
                        seen, since = beaten, time.monotonic()
                    elif time.monotonic() - since > self._timeout_s:
                        self.fault = f"it took longer than {self._timeout_s:g} s"
                        return
            finally:
                process.kill()


def _said(process: subprocess.Popen[str]) -> str | None:
    """What a child said on standard error, once it has ended; None while it runs."""
    try:
        return process.communicate(timeout=POLL_S)[1]
    except subprocess.TimeoutExpired:
        return None


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
        ModelError: it is not, it is a folder, or it holds weights only.
    """
    if path.is_dir():
        raise ModelError(f"{str(path)!r} is a folder; give a file in it, {path / 'model.onnx'} for a bundle")
    is_code = len(str(path).rpartition(":")[0]) > 1  # more than the letter of a drive
    if not path.is_file():
        fix = f"it is code, and this takes ONNX files: {_writing(str(path))}" if is_code else "check the path"
        raise ModelError(f"model file {str(path)!r} does not exist; {fix}")
    if path.suffix in OF_WEIGHTS:
        code = f"file.py:callable --weights {path}"
        raise ModelError(f"{str(path)!r} is a file of weights; this takes ONNX files: {_writing(code)}")


def _writing(code: str) -> str:
    """What writes the float ONNX file of a network that is given as code."""
    asked = "--target mobile --set quantization.enabled=false --calibration DATA --output float"
    return f"edgecompress compress {code} {asked} writes float/model.onnx"
