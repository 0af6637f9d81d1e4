"""CPUs are known to the emulator, and what is missing is named with its fix."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecompress.errors import RecipeError
from edgecompress.validation.elsewhere.cpus import ARM_PYTHON, ARM_ROOT, CPUS, EmulatedCpu, emulated_python, find_cpu


@pytest.mark.parametrize("cpu", CPUS.values(), ids=CPUS)
def test_the_emulator_knows_the_cpu(cpu: EmulatedCpu) -> None:
    if shutil.which(cpu.emulator) is None:
        pytest.skip(f"{cpu.emulator} is not installed")
    listed = subprocess.run([cpu.emulator, "-cpu", "help"], capture_output=True, text=True, check=False).stdout
    assert cpu.model in listed.split()


def test_an_unknown_cpu_is_named_with_the_nearest_and_the_list() -> None:
    with pytest.raises(RecipeError, match="unknown CPU 'hasswell'; did you mean 'haswell'\\?") as error:
        find_cpu("hasswell")
    assert all(name in str(error.value) for name in CPUS)
    with pytest.raises(RecipeError, match="unknown CPU 'z80'; known are nehalem, "):
        find_cpu("z80")


@pytest.mark.parametrize("cpu", CPUS.values(), ids=CPUS)
def test_without_the_emulator_it_says_what_to_install(cpu: EmulatedCpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RecipeError, match=f"needs {cpu.emulator}.*apt-get install qemu-user"):
        emulated_python(cpu)


def test_x86_runs_the_same_interpreter(emulator: Callable[[str], None]) -> None:
    emulator("RUN")
    program, *rest = emulated_python(find_cpu("haswell"))
    assert Path(program).name == "qemu-x86_64"
    assert rest[:3] == ["-cpu", "Haswell-noTSX", sys.executable]


def test_x86_needs_an_x86_machine(emulator: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    emulator("RUN")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(RecipeError, match="on an x86-64 machine only, this is aarch64; leave it out"):
        emulated_python(find_cpu("haswell"))


def test_arm_needs_a_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, root = tmp_path / "qemu-aarch64", tmp_path / "root"
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(ARM_ROOT, str(root))
    with pytest.raises(
        RecipeError, match=r"needs an Arm root, and '.*root' is none; build it with scripts/arm_root\.sh"
    ):
        emulated_python(find_cpu("cortex-a72"))
    (root / ARM_PYTHON).parent.mkdir(parents=True)
    (root / ARM_PYTHON).touch()
    command = [str(program), "-cpu", "cortex-a72", "-L", str(root), str(root / ARM_PYTHON), "-I", "-B"]
    assert emulated_python(find_cpu("cortex-a72")) == command
