"""The same answers elsewhere: the artifact on other CPUs, under emulation, against its outputs on this one."""

from __future__ import annotations

import os
import signal
import subprocess  # of the emulator that the user has  # nosec B404
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from edgecompress.axes.classes import shown_axis
from edgecompress.data.batches import Array, Batch, Inputs
from edgecompress.metrics.agreement import Agreement, share_of
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Budgets
from edgecompress.runtime import ALL_CORES, open_session, run_session, session_rows
from edgecompress.system.scratch import scratch_folder
from edgecompress.validation.elsewhere.cpus import EmulatedCpu, emulated_python, find_cpu

SAMPLES = 100
"""Samples at most; an emulator is ten to fifty times slower than the CPU under it."""
TIME_LIMIT_S = 900.0
CHILD = Path(__file__).with_name("emulated.py")


@dataclass(frozen=True, kw_only=True)
class CpuResult:
    """The artifact's outputs on one CPU against those on this machine.

    ``failure`` says in one line why there are none; ``onnxruntime`` is the version that ran there.
    """

    cpu: str
    samples: int
    identical: bool = False
    agreement: Agreement = field(default_factory=Agreement)
    onnxruntime: str = ""
    failure: str | None = None

    @property
    def entry(self) -> dict[str, Any]:
        """The same as plain data, for JSON; no figures where nothing ran."""
        ran = self.failure is None
        return {
            "identical": self.identical,
            **(self.agreement.entry if ran else dict.fromkeys(Agreement().entry)),
            "lost": list(self.agreement.lost()),
            "samples": self.samples,
            "onnxruntime": self.onnxruntime or None,
            "failure": self.failure,
        }


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A CPU and the command that starts Python on it."""

    cpu: EmulatedCpu
    python: Sequence[str]


def find_machines(names: Iterable[str]) -> tuple[Machine, ...]:
    """The machines of these names, each once, found before any long work begins.

    Raises:
        RecipeError: a CPU is unknown, or what emulates it is missing.
    """
    cpus = [find_cpu(name) for name in dict.fromkeys(names)]
    return tuple(Machine(cpu=cpu, python=emulated_python(cpu)) for cpu in cpus)


def compare_cpus(
    artifact: bytes,
    batches: Iterable[Batch],
    machines: Sequence[Machine],
    progress: Progress,
    *,
    limit_s: float = TIME_LIMIT_S,
) -> tuple[CpuResult, ...]:
    """Run the artifact on every machine and compare the outputs with those on this one.

    Args:
        artifact: bytes of the ONNX file.
        batches: inputs that fit it; the first ``SAMPLES`` samples are run.
        machines: what :func:`find_machines` found.
        progress: told of every machine.
        limit_s: seconds for each machine, after which it counts as failed.
    """
    if not machines:
        return ()
    session = open_session(artifact, ALL_CORES)
    names = [spec.name for spec in session.get_inputs()]
    stream = iter(batches)
    first = next(stream)
    whole = session_rows(session, first.axes) is not None
    taken = first_samples(chain([first], stream), SAMPLES, whole=whole)
    expected = [run_session(session, batch.inputs) for batch in taken]
    outputs = [spec.name for spec in session.get_outputs()]
    results = []
    with scratch_folder() as folder:
        (folder / "model.onnx").write_bytes(artifact)
        _save(folder / "inputs.npz", [{name: batch.inputs[name] for name in names} for batch in taken])
        for machine in machines:
            with progress.step(f"emulate {machine.cpu.name}"):
                found = _run(machine, folder, len(taken), limit_s)
            results.append(_compare(machine.cpu.name, taken, outputs, expected, found))
    return tuple(results)


def first_samples(batches: Iterable[Batch], count: int, *, whole: bool) -> list[Batch]:
    """The first ``count`` samples, batch by batch; a model of fixed batch size needs ``whole`` batches."""
    taken: list[Batch] = []
    left = count
    for batch in batches:
        if left <= 0 or (whole and taken and batch.rows > left):
            break
        taken.append(batch if whole or batch.rows <= left else batch.slice(0, left))
        left -= batch.rows
    return taken


def cpu_agreement(entries: Iterable[dict[str, Any]]) -> float | None:
    """The least :func:`share_of` over all CPUs; None where nothing was compared.

    A CPU on which the artifact does not run agrees on nothing.

    >>> cpu_agreement([{"top1_agreement": 1.0, "failure": None}, {"top1_agreement": None, "failure": "it crashed"}])
    0.0
    """
    shares = [0.0 if entry["failure"] else share_of(entry) for entry in entries]
    return min((share for share in shares if share is not None), default=None)


def strict_where_emulated(budgets: Budgets, emulated: Collection[object]) -> Budgets:
    """Whoever asks for other CPUs and sets no limit means that no answer may change."""
    if not emulated or budgets.min_cpu_agreement is not None:
        return budgets
    return budgets.model_copy(update={"min_cpu_agreement": 1.0})


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What came back: outputs of each batch, or the reason why there are none."""

    outputs: Sequence[Sequence[Array]] = ()
    onnxruntime: str = ""
    failure: str | None = None


def _run(machine: Machine, folder: Path, batches: int, limit_s: float) -> _Found:
    """Run the child on a machine. Its folder is the current one, so that a core dump goes with it."""
    written = folder / f"{machine.cpu.name}.npz"
    command = [*machine.python, str(CHILD), "model.onnx", "inputs.npz", written.name]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(  # no shell, our own code  # nosec B603
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        return _Found(failure=f"not done after {limit_s:g} s")
    except OSError as error:
        return _Found(failure=f"{machine.cpu.emulator} cannot be started: {error.strerror}")
    if done.returncode or not written.is_file():
        return _Found(failure=_reason(machine.cpu.emulator, done.returncode, done.stderr))
    with np.load(written, allow_pickle=False) as pack:
        count = len(pack.files) // batches
        outputs = [[pack[f"{batch}_{index}"] for index in range(count)] for batch in range(batches)]
    return _Found(outputs=outputs, onnxruntime=done.stdout.strip())


def _reason(emulator: str, status: int, stderr: str) -> str:
    if status < 0:
        return f"{emulator} died of {signal.Signals(-status).name}"
    lines = [line for line in stderr.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"{emulator} ended with status {status}"


def _compare(
    cpu: str, batches: Sequence[Batch], names: Sequence[str], expected: Sequence[Sequence[Array]], found: _Found
) -> CpuResult:
    samples = sum(batch.rows for batch in batches)
    if found.failure is not None:
        return CpuResult(cpu=cpu, samples=samples, failure=found.failure)
    agreement, identical = Agreement(), True
    for batch, here, there in zip(batches, expected, found.outputs, strict=True):
        axis = shown_axis(batch, here[0], "the batch")
        agreement = agreement.merge(Agreement.between(here, there, names=names, class_axis=axis))
        identical = identical and all(h.tobytes() == t.tobytes() for h, t in zip(here, there, strict=True))
    if not agreement.finite:
        return CpuResult(cpu=cpu, samples=samples, identical=identical, failure="outputs that are not finite")
    return CpuResult(cpu=cpu, samples=samples, identical=identical, agreement=agreement, onnxruntime=found.onnxruntime)


def _save(path: Path, batches: Sequence[Inputs]) -> None:
    arrays = {f"{index}_{name}": array for index, batch in enumerate(batches) for name, array in batch.items()}
    np.savez(path, allow_pickle=False, **arrays)
