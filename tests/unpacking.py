"""The scripts that unpack packages into a folder, run by the tests of each."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.conftest import ROOT


def run_script(name: str, output: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A script of ``scripts/`` with the folder that it is to fill, and variables on top of those that there are."""
    command = ["/bin/sh", str(ROOT / "scripts" / name), str(output)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=60
    )


def require_kept(name: str, folder: Path, told: str) -> None:
    """What is in the place of the output stays, whether it is complete or something else."""
    (folder / "thesis.txt").touch()
    done = run_script(name, folder)
    assert done.returncode == 2
    assert f"exists and {told}" in done.stderr
    (folder / "complete").touch()
    done = run_script(name, folder)
    assert done.returncode == 0
    assert "is there already" in done.stdout
    assert (folder / "thesis.txt").exists()


def require_programs_named(name: str, folder: Path) -> None:
    """A program that is missing is named, and nothing is left."""
    done = run_script(name, folder / "root", PATH=str(folder))
    assert done.returncode == 2
    assert done.stderr.startswith("error: apt-get is missing")
    assert not list(folder.iterdir())
