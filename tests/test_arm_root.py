"""The script that builds the Arm root says what it lacks, and leaves nothing half done."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unpacking import require_kept, require_programs_named, run_script

SCRIPT = "arm_root.sh"


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    require_kept(SCRIPT, tmp_path, "is no Arm root")


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    require_programs_named(SCRIPT, tmp_path)


def test_a_mirror_that_cannot_be_reached_leaves_nothing(tmp_path: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip("apt-get and dpkg are not installed")
    keyring = tmp_path / "keyring"
    keyring.touch()
    home = tmp_path / "home"
    done = run_script(SCRIPT, home / "root", DEBIAN_MIRROR=f"file://{tmp_path}/none", DEBIAN_KEYRING=str(keyring))
    if "has no pip" in done.stderr:
        pytest.skip("python3 has no pip")
    assert done.returncode == 2
    assert "the package lists could not be read" in done.stderr.splitlines()[-1]
    assert not list(home.iterdir())
