"""Packages that add to edgecompress are installed as users install them, and named on the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from edgecompress.bundle.reading import read_bundle
from edgecompress.registry import CRITERIA, METRICS, OBSERVERS, RUNTIMES, TECHNIQUES, missing
from tests.conftest import ROOT

OPTIONS = ("--calibration", "batches.py:calibration", "--set", "export.simplify=false")
PRUNED = ("--set", "pruning.enabled=true", "--set", "pruning.multiple=1", "--set", "training.epochs=0")
UNPRUNED = ("--set", "pruning.enabled=false")
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


def _compress(
    site: Path, project: Path, key: str, name: str, settings: tuple[str, ...] = (), target: str = "mini-pc"
) -> subprocess.CompletedProcess[str]:
    """A run whose recipe names something, or has other settings; its bundle is called after that."""
    chosen = settings or ("--set", f"{key}={name}")
    asked = (*OPTIONS, "--target", target, *PRUNED, *QUICK, *chosen)
    return _run(site, project, "compress", "nets.py:net", *asked, "--output", name)


def _run(site: Path, project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a user's folder, with what the site holds at hand."""
    path = os.pathsep.join([str(site), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "edgecompress", *arguments],
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


def test_a_technique_of_another_package_runs_where_the_order_puts_it(site: Path, project: Path) -> None:
    order, told = 'order=["clip_weights", "quantization"]', ("--set", "options.clip_weights.deviations=1.5")
    done = _compress(site, project, "order", "clipped", ("--set", order, *UNPRUNED, *told))
    assert done.returncode in (0, 1), done.stderr
    assert "1. clip         weights beyond 1.5 standard deviations" in done.stdout
    bundle = read_bundle(project / "clipped")
    assert bundle.manifest.data["clipped_weights"] > 0
    assert bundle.manifest.recipe["options"] == {"clip_weights": {"deviations": 1.5}}
    again = _compress(site, project, "order", "again", UNPRUNED, "clipped/recipe.toml")
    assert again.returncode in (0, 1), again.stderr
    assert read_bundle(project / "again").artifact.read_bytes() == bundle.artifact.read_bytes()


def test_a_technique_refuses_what_it_is_told_in_one_line(site: Path, project: Path) -> None:
    settings = ("--set", 'order=["clip_weights", "pruning", "quantization"]')
    done = _compress(site, project, "order", "refused", (*settings, "--set", "options.clip_weights.deviations=wide"))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "expected a number above 0, got 'wide' in 'options.clip_weights.deviations'" in done.stderr
    assert not (project / "refused").exists()


NOT_PRUNED = ("--set", "pruning.enabled=false", "--set", "quantization.scheme=fbgemm")


def test_a_runtime_of_another_package_runs_the_artifact(site: Path, project: Path) -> None:
    done = _compress(
        site, project, "", "there", (*NOT_PRUNED, "--on", "onnx_reference", "--on", "onnx_reference:numpy")
    )
    assert done.returncode in (0, 1), done.stderr
    assert "run          the artifact on onnx_reference, onnx_reference:numpy" in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith("onnx_reference "))
    bundle = read_bundle(project / "there")
    assert bundle.manifest.recipe["validation"]["on"] == ["onnx_reference", "onnx_reference:numpy"]
    entry = bundle.manifest.runtimes["onnx_reference"]
    assert (entry["outcome"], entry["failure"], entry["ran_on"]) == ("ran", None, {"onnx": onnx.__version__})
    assert entry["sqnr_db"] > 25  # two implementations of one specification, which round ties in other places
    assert f"{entry['sqnr_db']:.1f} dB" in row or entry["identical"]
    assert "min_runtime_agreement" in {check.budget for check in bundle.manifest.verdict.budgets}
    page = (bundle.path / "report.html").read_text()
    assert "<h2>Other runtimes</h2>" in page
    assert f"onnx {onnx.__version__}" in page


def test_a_bundle_is_validated_on_a_runtime_of_another_package(site: Path, project: Path) -> None:
    assert _compress(site, project, "", "bundle", NOT_PRUNED).returncode in (0, 1)
    done = _run(site, project, "validate", "bundle", "--on", "onnx_reference", "--json")
    assert done.returncode in (0, 1), done.stderr
    entry = json.loads(done.stdout)["runtimes"]["onnx_reference"]
    assert (entry["outcome"], entry["source"], entry["samples"]) == ("ran", "measured here", 4)


def test_a_device_that_a_runtime_does_not_have_is_told_in_one_line(site: Path, project: Path) -> None:
    done = _compress(site, project, "", "refused", ("--on", "onnx_reference:gpu"))
    assert (done.returncode, done.stderr) == (2, "error: onnx_reference has no device 'gpu'; leave it out\n")
    assert not (project / "refused").exists()


@pytest.mark.parametrize("key", ["quantization.observer", "pruning.importance", "evaluation.metric"])
def test_without_the_package_its_name_is_unknown(key: str, tmp_path: Path, project: Path) -> None:
    done = _compress(tmp_path, project, key, "no_such_thing")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"got 'no_such_thing' in '{key}'" in done.stderr
    assert not (project / "no_such_thing").exists()


EVALUATED = ("--evaluation", "batches.py:evaluation")


@pytest.mark.parametrize(
    ("name", "options", "higher"),
    [
        ("largest_error", ("--metric", "largest_error"), False),
        ("share_of_hits", ("--set", "evaluation.higher_is_better=true"), True),
    ],
)
def test_a_metric_of_another_package_is_used_by_its_name(
    site: Path, project: Path, name: str, options: tuple[str, ...], higher: bool
) -> None:
    settings = (*EVALUATED, "--set", f"evaluation.metric={name}", *options)
    done = _compress(site, project, "evaluation.metric", name, settings)
    assert done.returncode in (0, 1), done.stderr
    bundle = read_bundle(project / name)
    metric, evaluation = bundle.manifest.metrics["metric"], bundle.manifest.recipe["evaluation"]
    assert (metric["name"], metric["higher_is_better"]) == (name, higher)
    assert (evaluation["metric"], evaluation["higher_is_better"]) == (name, higher)
    assert metric["drop"] == pytest.approx((metric["original"] - metric["compressed"]) * (1 if higher else -1))
    assert name in done.stdout


ALL = (
    *("--set", 'order=["clip_weights", "pruning", "quantization"]', "--set", "quantization.observer=mean_of_ends"),
    *("--set", "pruning.importance=median_distance", "--metric", "largest_error", "--on", "onnx_reference"),
)


def test_a_bundle_is_validated_where_the_packages_of_its_recipe_are_gone(
    site: Path, project: Path, tmp_path: Path
) -> None:
    done = _compress(site, project, "", "bundle", (*ALL, *EVALUATED))
    assert done.returncode in (0, 1), done.stderr
    gone = tmp_path / "nothing"
    names = ("mean_of_ends", "median_distance", "largest_error", "clip_weights", "onnx_reference")
    told = [
        missing(kind, name)
        for kind, name in zip((OBSERVERS, CRITERIA, METRICS, TECHNIQUES, RUNTIMES), names, strict=True)
    ]
    for command in (("validate", "bundle"), ("validate", "bundle", *EVALUATED, "--metric", "top1")):
        checked = _run(gone, project, *command)
        assert checked.returncode in (0, 1), checked.stderr
        assert [line for line in checked.stderr.splitlines() if "no package" in line] == [f"warning: {t}" for t in told]
        assert "onnx_reference" in checked.stdout  # what was recorded there
    shown = _run(gone, project, "targets", "show", "bundle/recipe.toml")
    assert (shown.returncode, shown.stderr.splitlines()) == (0, [f"warning: {line}" for line in told])
    needed = _run(gone, project, "validate", "bundle", *EVALUATED)
    again = _compress(gone, project, "", "again", UNPRUNED, "bundle/recipe.toml")
    for refused in (needed, again):
        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert needed.stderr.endswith("and no package registers that; install the one that does, or give --metric\n")
    assert not (project / "again").exists()
