"""The script that builds the Arm root says what it lacks, and leaves nothing half done."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "arm_root.sh"


def _run(output: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(SCRIPT), str(output)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=60
    )


def test_a_root_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "complete").touch()
    done = _run(tmp_path)
    assert done.returncode == 0
    assert "is there already" in done.stdout


def test_a_folder_that_is_no_root_is_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    done = _run(tmp_path)
    assert done.returncode == 2
    assert "exists and is no Arm root" in done.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    done = _run(tmp_path / "root", PATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("error: apt-get is missing")
    assert not list(tmp_path.iterdir())


def test_a_mirror_that_cannot_be_reached_leaves_nothing(tmp_path: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip("apt-get and dpkg are not installed")
    keyring = tmp_path / "keyring"
    keyring.touch()
    home = tmp_path / "home"
    done = _run(home / "root", DEBIAN_MIRROR=f"file://{tmp_path}/none", DEBIAN_KEYRING=str(keyring))
    if "has no pip" in done.stderr:
        pytest.skip("python3 has no pip")
    assert done.returncode == 2
    assert "the package lists could not be read" in done.stderr.splitlines()[-1]
    assert not list(home.iterdir())
