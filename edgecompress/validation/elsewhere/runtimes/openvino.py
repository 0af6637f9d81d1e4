"""OpenVINO on this machine: it reads Q and DQ as they are, and runs what they enclose in integers."""

from __future__ import annotations

import subprocess  # of this very Python  # nosec B404
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from edgecompress.arrays import Inputs
from edgecompress.errors import RecipeError
from edgecompress.progress import Progress
from edgecompress.validation.elsewhere import in_openvino
from edgecompress.validation.elsewhere.child import run_in_child
from edgecompress.validation.elsewhere.place import Answer

TIME_LIMIT_S = 900.0
DEFAULT = "CPU"
CHILD = Path(in_openvino.__file__)
DEVICES = "import openvino; print(*openvino.Core().available_devices)"


@dataclass(frozen=True, kw_only=True)
class OpenVino:
    """A device as OpenVINO calls it, and after how many seconds a run counts as failed."""

    device: str = DEFAULT
    limit_s: float = TIME_LIMIT_S
    progress: Progress = field(default_factory=Progress, compare=False)

    def telling(self, progress: Progress) -> OpenVino:
        """The same, which tells of its samples."""
        return replace(self, progress=progress)

    def run(self, model: Path, batches: Sequence[Inputs]) -> Answer:
        """Run every batch in the precision of the file."""
        return run_in_child(
            CHILD,
            model,
            batches,
            [self.device],
            limit_s=self.limit_s,
            progress=self.progress,
            label=f"running OpenVINO on {self.device}",
        )


def find_place(device: str) -> OpenVino:
    """A device of OpenVINO's, the CPU where none is named.

    Raises:
        RecipeError: OpenVINO is not installed, or has no such device on this machine.
    """
    if find_spec("openvino") is None:
        raise RecipeError("runtime 'openvino' needs OpenVINO; pip install 'edgecompress[openvino]'")
    if device and device not in (known := _devices()):
        raise RecipeError(
            f"OpenVINO has no device {device!r} here, and has {', '.join(known)}; name one of these, as"
            f" 'openvino:{DEFAULT}'"
        )
    return OpenVino(device=device or DEFAULT)


def _devices() -> list[str]:
    """The devices that OpenVINO finds on this machine.

    Raises:
        RecipeError: it does not load.
    """
    done = subprocess.run(  # no shell, our own code  # nosec B603
        [sys.executable, "-P", "-c", DEVICES], capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise RecipeError(f"OpenVINO does not load: {reason}; pip install --force-reinstall openvino")
    return done.stdout.split()
