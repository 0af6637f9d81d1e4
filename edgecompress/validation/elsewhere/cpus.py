"""CPUs that QEMU's user-mode emulation stands in for, by the names that people use."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgecompress.errors import RecipeError, nearest
from edgecompress.system.user_folder import user_folder
from edgecompress.targets.cpus import wide_kind

ARM_ROOT = "EDGECOMPRESS_ARM_ROOT"
"""Environment variable that says where the Arm root is."""
ARM_PYTHON = Path("usr", "bin", "python3.11")


@dataclass(frozen=True, kw_only=True)
class EmulatedCpu:
    """A CPU: what it can do, the emulator for it, and the emulator's own name for it (``-cpu``)."""

    name: str
    features: str
    machine: Literal["x86_64", "aarch64"]
    model: str

    @property
    def emulator(self) -> str:
        """The program of QEMU's user-mode emulation."""
        return f"qemu-{self.machine}"


def _x86(name: str, model: str, features: str) -> EmulatedCpu:
    return EmulatedCpu(name=name, features=features, machine="x86_64", model=model)


def _arm(name: str, features: str) -> EmulatedCpu:
    return EmulatedCpu(name=name, features=features, machine="aarch64", model=name)


# QEMU's code generator knows no AVX-512 (nor VNNI): a model such as Skylake-Server runs here with those bits
# masked, which is Haswell under another name. Those CPUs are left out rather than seemingly checked.
CPUS = {
    cpu.name: cpu
    for cpu in (
        _x86("nehalem", "Nehalem", "SSE4.2"),
        _x86("sandybridge", "SandyBridge", "AVX"),
        _x86("haswell", "Haswell-noTSX", "AVX2 and FMA, no AVX-512, no VNNI"),
        _arm("cortex-a53", "Armv8.0, in order, no dot product"),
        _arm("cortex-a72", "Armv8.0, no dot product"),
        _arm("cortex-a76", "Armv8.2, dot product"),
        _arm("neoverse-n1", "Armv8.2, dot product"),
    )
}
"""Every known CPU by name."""


def find_cpu(name: str) -> EmulatedCpu:
    """The CPU of that name.

    Raises:
        RecipeError: there is none; the message offers the nearest and lists all.

    >>> find_cpu("haswell").emulator
    'qemu-x86_64'
    >>> find_cpu("hasswell")
    Traceback (most recent call last):
    edgecompress.errors.RecipeError: unknown CPU 'hasswell'; did you mean 'haswell'? Known are nehalem, sandybridge, \
haswell, cortex-a53, cortex-a72, cortex-a76, neoverse-n1
    """
    if name not in CPUS:
        if (kind := wide_kind(name)) is not None:
            alike = (cpu for cpu in CPUS.values() if (cpu.machine == "x86_64") == (kind == "x86"))
            listed = " or ".join(f"{cpu.name} ({cpu.features})" for cpu in alike)
            raise RecipeError(f"{name!r} stands for several kinds of CPU; give {listed}")
        near = nearest(name, CPUS)
        raise RecipeError(f"unknown CPU {name!r}{f'{near} Known' if near else '; known'} are {', '.join(CPUS)}")
    return CPUS[name]


def emulated_python(cpu: EmulatedCpu) -> list[str]:
    """The command that starts Python on that CPU, with numpy and onnxruntime at hand.

    On x86 this is the running interpreter; on Arm that of the Arm root.

    Raises:
        RecipeError: the emulator or the root is missing; the message says what to install.
    """
    program = shutil.which(cpu.emulator)
    if program is None:
        raise RecipeError(
            f"CPU {cpu.name!r} needs {cpu.emulator}, which is not on the PATH; install QEMU's user-mode emulation"
            " (Debian, Ubuntu: apt-get install qemu-user)"
        )
    start = [program, "-cpu", cpu.model]
    return [*start, *(_own_python(cpu) if cpu.machine == "x86_64" else _arm_python(cpu))]


def _own_python(cpu: EmulatedCpu) -> list[str]:
    if platform.machine() != "x86_64":
        raise RecipeError(
            f"CPU {cpu.name!r} can be emulated on an x86-64 machine only, this is {platform.machine()}; leave it out"
        )
    # Safe path: the folder of the child's script holds modules of ours, which are not its business.
    return [sys.executable, "-P", "-B"]


def _arm_python(cpu: EmulatedCpu) -> list[str]:
    root = arm_root()
    python = root / ARM_PYTHON
    if not python.is_file():
        raise RecipeError(
            f"CPU {cpu.name!r} needs an Arm root, and {str(root)!r} is none; build it with scripts/arm_root.sh of the"
            f" repository, or set {ARM_ROOT}"
        )
    return ["-L", str(root), str(python), "-I", "-B"]


def arm_root() -> Path:
    """Where the Arm root is, or should be."""
    return user_folder("arm-root", ARM_ROOT)
