"""A bundle that another run made is written out again, byte by byte, and anything else is none."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import edgecompress
from edgecompress.bundle.manifest import BudgetEntry
from edgecompress.bundle.reading import Bundle, read_bundle
from edgecompress.comparison.kept_bundles import keep_bundle, key_of_bundle, recall_bundle, warnings_of
from edgecompress.report import read_report
from edgecompress.system.cache import Cache
from edgecompress.targets import TargetProfile, effective_profile
from edgecompress.techniques.kept import Kept
from tests.networks import ConvNet, images, seeded

QUICK = ("export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "quantization.fallback_evaluations=0")
PROFILE = effective_profile("mobile", QUICK)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return edgecompress.compress(
        seeded(ConvNet), calibration=images(), output=tmp_path_factory.mktemp("bundle") / "made", overrides=QUICK
    )


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing disturbed the times, whatever this machine does."""
    monkeypatch.setattr("edgecompress.comparison.kept_bundles.is_settled", lambda _: True)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(cache=Cache(tmp_path / "cache", lambda line: pytest.fail(line)), made_of={"network": "a"})


def _contents(bundle: Bundle) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in bundle.path.iterdir()}


@pytest.mark.usefixtures("quiet")
def test_it_comes_back_byte_by_byte(made: Bundle, kept: Kept, tmp_path: Path) -> None:
    command = json.loads((made.path / "report.json").read_text())["command"]
    assert recall_bundle(kept, PROFILE, tmp_path / "out", command) is None
    assert not (tmp_path / "out").exists()
    keep_bundle(kept, PROFILE, made)
    again = recall_bundle(kept, PROFILE, tmp_path / "out", command)
    assert again is not None
    assert _contents(again) == _contents(made)
    assert read_bundle(tmp_path / "out") == again


@pytest.mark.usefixtures("quiet")
def test_its_report_says_what_makes_it_again_here(made: Bundle, kept: Kept, tmp_path: Path) -> None:
    keep_bundle(kept, PROFILE, made)
    again = recall_bundle(kept, PROFILE, tmp_path / "out", "edgecompress compress here.py:net")
    assert again is not None
    assert read_report(again.path) == {**read_report(made.path), "command": "edgecompress compress here.py:net"}
    assert "<code>edgecompress compress here.py:net</code>" in (again.path / "report.html").read_text()
    reports = ("report.json", "report.html", "manifest.json")
    assert all(content == _contents(made)[name] for name, content in _contents(again).items() if name not in reports)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "other",
    [effective_profile("mobile", [*QUICK, "budgets.min_speedup=3"]), replace(PROFILE, name="mine")],
    ids=["another budget", "another target"],
)
def test_of_another_profile_it_is_none(other: TargetProfile, made: Bundle, kept: Kept, tmp_path: Path) -> None:
    keep_bundle(kept, PROFILE, made)
    assert recall_bundle(kept, other, tmp_path / "out", "") is None
    assert recall_bundle(replace(kept, made_of={"network": "b"}), PROFILE, tmp_path / "out", "") is None


def _packed(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


@pytest.mark.parametrize("fault", ["no archive", "no manifest", "another model", "a file too many", "a path"])
def test_what_is_no_bundle_is_forgotten(fault: str, made: Bundle, kept: Kept, tmp_path: Path) -> None:
    files = _contents(made)
    match fault:
        case "no manifest":
            del files["manifest.json"]
        case "another model":
            files["model.onnx"] += b"\0"
        case "a file too many":
            files["extra.txt"] = b""
        case "a path":
            files["../outside.txt"] = b""
    key = key_of_bundle(kept, PROFILE)
    kept.cache.write(key, b"something" if fault == "no archive" else _packed(files))
    assert recall_bundle(kept, PROFILE, tmp_path / "out", "") is None
    assert kept.cache.read(key) is None
    assert not [*tmp_path.glob("out*")]


def _measured(made: Bundle, doubts: list[str], outcome: Any) -> Bundle:
    """The bundle with other doubts of its latency, and with one budget."""
    manifest = made.manifest.model_copy(deep=True)
    manifest.metrics["latency_ms"]["doubts"] = doubts
    budget = BudgetEntry(budget="min_speedup", limit=1.5, value=1.5, unit="x", outcome=outcome)
    verdict = manifest.verdict.model_copy(update={"budgets": (budget,)})
    return replace(made, manifest=manifest.model_copy(update={"verdict": verdict}))


@pytest.mark.parametrize(
    ("doubts", "outcome", "stays"),
    [([], "pass", True), ([], "fail", True), (["p95 is high"], "pass", False), ([], "too noisy to say", False)],
)
def test_times_that_were_disturbed_are_not_kept(
    doubts: list[str], outcome: str, stays: bool, made: Bundle, kept: Kept
) -> None:
    keep_bundle(kept, PROFILE, _measured(made, doubts, outcome))
    assert (kept.cache.read(key_of_bundle(kept, PROFILE)) is not None) == stays


def test_the_warnings_of_a_bundle_are_those_of_its_run_each_once(made: Bundle, tmp_path: Path) -> None:
    plan, doubts = {"warnings": ["a"]}, ["c", "a"]
    steps = [{"warnings": ["b"]}, {"warnings": []}, {"warnings": ["c"]}]
    (tmp_path / "report.json").write_text(json.dumps({"plan": plan, "steps": steps, "doubts": doubts}))
    assert warnings_of(replace(made, path=tmp_path)) == ("a", "b", "c")
