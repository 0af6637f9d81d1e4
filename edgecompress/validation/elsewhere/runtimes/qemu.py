"""Other CPUs, under QEMU's user-mode emulation; :mod:`edgecompress.validation.elsewhere.cpus` lists them."""

from __future__ import annotations

import os
import subprocess  # of the emulator that the user has  # nosec B404
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecompress.arrays import Inputs
from edgecompress.system.isolation import signal_name
from edgecompress.validation.elsewhere import emulated
from edgecompress.validation.elsewhere.cpus import EmulatedCpu, emulated_python, find_cpu
from edgecompress.validation.elsewhere.packs import load_outputs, save_batches
from edgecompress.validation.elsewhere.place import Answer, Handling, handled

TIME_LIMIT_S = 900.0
CHILD = Path(emulated.__file__)


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """A CPU, the command that starts Python on it, and after how many seconds a run counts as failed."""

    cpu: EmulatedCpu
    python: Sequence[str]
    limit_s: float = TIME_LIMIT_S

    def run(self, model: Path, batches: Sequence[Inputs]) -> Answer:
        """Run every batch in ONNX Runtime, with one thread."""
        # The model's folder is the current one, so that a core dump goes with it.
        folder, written = model.parent, model.parent / "outputs.npz"
        save_batches(folder / "inputs.npz", batches)
        command = [*self.python, str(CHILD), model.name, "inputs.npz", written.name]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        try:
            done = subprocess.run(  # no shell, our own code  # nosec B603
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=self.limit_s, check=False
            )
        except subprocess.TimeoutExpired:
            return Answer(failure=f"not done after {self.limit_s:g} s")
        except OSError as error:
            return Answer(failure=f"{self.cpu.emulator} cannot be started: {error.strerror}")
        if done.returncode or not written.is_file():
            return Answer(failure=_reason(self.cpu.emulator, done.returncode, done.stderr))
        return Answer(outputs=load_outputs(written, len(batches)), ran_on={"onnxruntime": done.stdout.strip()})


@handled(Handling(step="emulate"))
def find_place(device: str) -> Emulator:
    """The CPU of that name.

    Raises:
        RecipeError: it is unknown, or what emulates it is missing.
    """
    cpu = find_cpu(device)
    return Emulator(cpu=cpu, python=emulated_python(cpu))


def _reason(emulator: str, status: int, stderr: str) -> str:
    if status < 0:
        return f"{emulator} was ended by {signal_name(-status)}"
    lines = [line for line in stderr.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"{emulator} ended with status {status}"
