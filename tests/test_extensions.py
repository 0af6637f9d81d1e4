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
PRUNED = ("--set", "pruning.enabled=true", "--set", "pruning.multiple=1", "--set", "training.epochs=0")
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


def _compress(site: Path, project: Path, key: str, name: str) -> subprocess.CompletedProcess[str]:
    """A run whose recipe names something; its bundle is called after that."""
    command = [
        sys.executable,
        "-m",
        "edgecompress",
        "compress",
        "nets.py:net",
        *OPTIONS,
        *PRUNED,
        *QUICK,
        "--output",
        name,
    ]
    path = os.pathsep.join([str(site), str(ROOT)])
    return subprocess.run(
        [*command, "--set", f"{key}={name}", "--output", name],
        capture_output=True,
        text=True,
        check=False,
        cwd=project,
        env={**os.environ, "PYTHONPATH": path},
    )


@pytest.mark.parametrize(
    ("key", "added", "own"),
    [("quantization.observer", "mean_of_ends", "min_max"), ("pruning.importance", "median_distance", "l2")],
)
def test_what_another_package_adds_is_used_by_its_name(
    key: str, added: str, own: str, site: Path, project: Path
) -> None:
    made, (table, last) = {}, key.split(".")
    for name in (added, own):
        done = _compress(site, project, key, name)
        assert done.returncode in (0, 1), done.stderr
        bundle = read_bundle(project / name)
        assert bundle.manifest.recipe[table][last] == name
        made[name] = bundle.artifact.read_bytes()
    assert made[added] != made[own]


@pytest.mark.parametrize("key", ["quantization.observer", "pruning.importance"])
def test_without_the_package_its_name_is_unknown(key: str, tmp_path: Path, project: Path) -> None:
    done = _compress(tmp_path, project, key, "no_such_thing")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"got 'no_such_thing' in '{key}'" in done.stderr
    assert not (project / "no_such_thing").exists()
