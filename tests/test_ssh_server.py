"""The script that unpacks an OpenSSH server for the tests says what it lacks, and leaves nothing half done."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.conftest import ROOT

SCRIPT = ROOT / "scripts" / "ssh_server.sh"


def _run(output: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(SCRIPT), str(output)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=60
    )


def test_a_server_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "complete").touch()
    done = _run(tmp_path)
    assert done.returncode == 0
    assert "is there already" in done.stdout


def test_a_folder_that_holds_something_else_is_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    done = _run(tmp_path)
    assert done.returncode == 2
    assert "exists and holds no OpenSSH server" in done.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    done = _run(tmp_path / "root", PATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("error: apt-get is missing")
    assert not list(tmp_path.iterdir())


def test_packages_that_cannot_be_fetched_leave_nothing(tmp_path: Path) -> None:
    programs, home = tmp_path / "programs", tmp_path / "home"
    programs.mkdir()
    for name in ("apt-get", "dpkg"):
        (programs / name).write_text("#!/bin/sh\nexit 100\n")
        (programs / name).chmod(0o755)
    done = _run(home / "root", PATH=f"{programs}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 2
    assert done.stderr == "error: a package could not be fetched; run apt-get update\n"
    assert not list(home.iterdir())
