"""Fixtures shared by the tests."""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from edgecompress.system.onnx_sanitizer import sanitize
from tests.android import Android, android
from tests.ssh_server import Server, serving

settings.register_profile("suite", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=5000)
settings.load_profile("suite")
torch.set_num_threads(1)  # networks this small gain nothing from more, and lose much on a machine that is busy

ROOT = Path(__file__).resolve().parent.parent

USER_MODEL = """
import torch
from tests.networks import ConvNet, ResidualNet, seeded

def net(): return seeded(ConvNet)
def residual(): return seeded(ResidualNet)
"""
USER_DATA = """
from tests.networks import images

def calibration(): return images(seed=1)
def evaluation(): return images(seed=2)
"""


@pytest.fixture
def contained() -> None:
    """First loads in ONNX Runtime happen in a child process, as for a user; other tests spare the third of a second."""


@pytest.fixture(autouse=True)
def _uncontained(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "contained" not in request.fixturenames:
        monkeypatch.setattr("edgecompress.system.isolation.load_fault", lambda path: None)
        monkeypatch.setattr("edgecompress.loading.onnx_files.sanitize_onnx", sanitize)


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line of progress, however slow a machine is: what is printed then would depend on time."""
    monkeypatch.setattr("edgecompress.progress.LINE_SECONDS", math.inf)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test makes, no other one takes over, nor is anything of the user's own."""
    monkeypatch.setenv("EDGECOMPRESS_CACHE", str(tmp_path_factory.getbasetemp() / f"cache-{uuid.uuid4().hex}"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with ``nets.py`` and ``batches.py``, made the current one."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "nets.py").write_text(USER_MODEL)
    (folder / "batches.py").write_text(USER_DATA)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program of one's own in the place of QEMU for x86: a shell script that gets its command line.

    ``RUN`` in it is the rest of that line without the CPU: what the emulator would run.
    """
    folder = tmp_path / "emulators"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")

    def install(script: str) -> None:
        program = folder / "qemu-x86_64"
        program.write_text("#!/bin/sh\nshift 2\n" + script.replace("RUN", 'exec "$@"') + "\n")
        program.chmod(0o755)

    return install


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A device on the loopback, and a client that knows it: an OpenSSH server of the test's own."""
    folder = tmp_path / "device"
    folder.mkdir()
    with serving(folder) as server:
        monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
        yield server


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Android:
    """A folder that stands for an Android, and an ``adb`` that knows it."""
    return android(tmp_path / "phone", monkeypatch)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the example with trained models, made the current one; without it the test is skipped."""
    folder = Path(os.environ.get("EDGECOMPRESS_EXAMPLE", ROOT.parent / "shared" / "example"))
    if not (folder / "models.py").is_file():
        pytest.skip(f"no example at {folder}; set EDGECOMPRESS_EXAMPLE")
    monkeypatch.chdir(folder)
    return folder
