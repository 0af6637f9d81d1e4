"""The script that unpacks an OpenSSH server for the tests says what it lacks, and leaves nothing half done."""

from __future__ import annotations

import os
from pathlib import Path

from tests.unpacking import require_kept, require_programs_named, run_script

SCRIPT = "ssh_server.sh"


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    require_kept(SCRIPT, tmp_path, "holds no OpenSSH server")


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    require_programs_named(SCRIPT, tmp_path)


def test_packages_that_cannot_be_fetched_leave_nothing(tmp_path: Path) -> None:
    programs, home = tmp_path / "programs", tmp_path / "home"
    programs.mkdir()
    for name in ("apt-get", "dpkg"):
        (programs / name).write_text("#!/bin/sh\nexit 100\n")
        (programs / name).chmod(0o755)
    done = run_script(SCRIPT, home / "root", PATH=f"{programs}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 2
    assert done.stderr == "error: a package could not be fetched; run apt-get update\n"
    assert not list(home.iterdir())
