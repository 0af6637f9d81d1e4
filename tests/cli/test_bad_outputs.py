"""An output that cannot be written, or that is something else, ends in one line, and what is there is kept."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgecompress.cli import main

OUTPUT = "out"


def test_an_output_that_exists_is_kept(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(OUTPUT).mkdir()
    Path(OUTPUT, "thesis.txt").write_text("all my work")
    assert main(["compress", "nets.py:net", "--calibration", "batches.py:calibration", "--output", OUTPUT]) == 2
    told = f"error: output {OUTPUT!r} exists, is no bundle and is kept; name a new folder as --output\n"
    assert capsys.readouterr().err == told
    assert [path.name for path in Path(OUTPUT).iterdir()] == ["thesis.txt"]


def test_overwrite_does_not_replace_what_is_no_bundle(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(OUTPUT).mkdir()
    Path(OUTPUT, "thesis.txt").write_text("all my work")
    options = ["--calibration", "batches.py:calibration", "--output", OUTPUT, "--overwrite"]
    assert main(["compress", "nets.py:net", *options]) == 2
    assert "is no bundle and is kept" in capsys.readouterr().err
    assert Path(OUTPUT, "thesis.txt").read_text() == "all my work"


def test_the_demo_looks_at_its_output_before_it_trains(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*arguments: object) -> None:
        raise AssertionError("trained for nothing")

    monkeypatch.setattr("edgecompress.cli.demo_network.make_demo", train)
    assert main(["demo", "--output", ".", "--overwrite"]) == 2
    assert "is no bundle and is kept" in capsys.readouterr().err


def test_the_demo_keeps_a_bundle_that_is_not_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "mine" / "manifest.json"
    kept.parent.mkdir()
    kept.write_text("{}")
    assert main(["demo", "--output", str(kept.parent)]) == 2
    assert capsys.readouterr().err.endswith("exists, is no bundle and is kept; name a new folder as --output\n")
    assert kept.read_text() == "{}"


@pytest.mark.parametrize("place", ["nets.py/out", "/proc/edgecompress-out"])
def test_an_output_that_cannot_be_written(project: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compress", "nets.py:net", "--calibration", "batches.py:calibration", "--output", place]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: output ")
    assert line.endswith("choose another --output")


def test_an_output_that_runs_out_of_space(project: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    (project / "batches.npz").write_bytes(b"")
    np.savez("batches.npz", image=np.random.default_rng(0).standard_normal((8, 3, 16, 16)).astype(np.float32))
    options = ["--calibration", "batches.npz", "--output", OUTPUT, "--set", "export.simplify=false"]
    done = subprocess.run(
        [sys.executable, "-B", "-m", "edgecompress", "compress", "nets.py:net", *options],
        capture_output=True,
        text=True,
        preexec_fn=small_files,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]
    assert not [path for path in project.iterdir() if OUTPUT in path.name]
