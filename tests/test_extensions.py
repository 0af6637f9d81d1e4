"""Packages that add to edgecompress are installed as users install them, and named on the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgecompress.bundle.reading import read_bundle
from tests.conftest import ROOT

OPTIONS = ("--calibration", "batches.py:calibration", "--target", "mini-pc", "--set", "export.simplify=false")
QUICK = ("--set", 'export.formats=["onnx"]', "--set", "cpu.runs=10", "--set", "cpu.threads=1")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed packages of ``tests/extensions``, and nothing else."""
    folder, copies = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("sources")
    # What is built stays out of the checkout.
    shutil.copytree(ROOT / "tests" / "extensions", copies, dirs_exist_ok=True)
    sources = [str(path.parent) for path in copies.glob("*/pyproject.toml")]
    alone = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", str(folder)]
    command = [sys.executable, "-m", "pip", "install", *alone, *sources]
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, "PIP_NO_CACHE_DIR": "1"})
    return folder


def _compress(site: Path, project: Path, observer: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgecompress", "compress", "nets.py:net", *OPTIONS, *QUICK, "--output", observer]
    path = os.pathsep.join([str(site), str(ROOT)])
    return subprocess.run(
        [*command, "--set", f"quantization.observer={observer}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=project,
        env={**os.environ, "PYTHONPATH": path},
    )


def test_an_observer_of_another_package_is_used_by_its_name(site: Path, project: Path) -> None:
    made = {}
    for observer in ("mean_of_ends", "min_max"):
        done = _compress(site, project, observer)
        assert done.returncode in (0, 1), done.stderr
        bundle = read_bundle(project / observer)
        assert bundle.manifest.recipe["quantization"]["observer"] == observer
        made[observer] = bundle.artifact.read_bytes()
    assert made["mean_of_ends"] != made["min_max"]


def test_without_the_package_its_name_is_unknown(tmp_path: Path, project: Path) -> None:
    done = _compress(tmp_path, project, "mean_of_ends")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "got 'mean_of_ends' in 'quantization.observer'" in done.stderr
    assert not (project / "mean_of_ends").exists()
