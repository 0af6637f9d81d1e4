"""The built wheel: what is in it, and that a user's own files next to their script do no harm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("edgecompress", "pyproject.toml", "README.md", "LICENSE")

USER = """
import calibration
import edgecompress.calibration, edgecompress.exporters, edgecompress.targets
assert calibration.MINE == 1
assert edgecompress.calibration.SCHEMES.keys() == {"fbgemm", "qnnpack"}
assert edgecompress.targets.strategy_names() == ["cloud", "edge", "mobile", "realtime"]
assert "raspberry-pi-4" in edgecompress.targets.device_names()
print(edgecompress.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    tree.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tree / name)
    for room in ("calibration", "exporters", "targets"):
        (tree / room).symlink_to(f"edgecompress/{room}")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(tree)], check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """A folder with a script and a user's own ``calibration.py`` next to it."""
    (tmp_path / "calibration.py").write_text("MINE = 1\n")
    (tmp_path / "script.py").write_text(USER)
    return tmp_path


def _run(user: Path, path: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(path)}
    command = [sys.executable, "-B", str(user / "script.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=user)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"edgecompress", "edgecompress-0.1.0.dist-info"}
    data = {
        "py.typed",
        "targets/mobile.toml",
        "targets/devices/mini-pc.toml",
        "report/templates/report.html",
        "bundle/selftest.py",
        "validation/elsewhere/page.html",
    }
    assert {f"edgecompress/{name}" for name in data} <= set(names)


def test_installed_it_lives_next_to_a_user_s_calibration_py(wheel: Path, user: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(pip, check=True)
    assert _run(user, site).startswith(str(site))


def test_in_a_checkout_it_lives_next_to_a_user_s_calibration_py(user: Path) -> None:
    assert _run(user, ROOT).startswith(str(ROOT))
