"""What ``validate`` and ``diff`` tell continuous integration: also of a run that ends in an error."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import edgecompress
from edgecompress.cli import main
from tests.networks import ConvNet, images, seeded


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a small network."""
    quick = ("export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "budgets.min_speedup=none")
    loose = "budgets.min_compression_ratio=none"
    folder = tmp_path_factory.mktemp("gate") / "net"
    data = {"calibration": images(seed=1), "evaluation": images(seed=2)}
    return edgecompress.compress(seeded(ConvNet), **data, overrides=(*quick, loose), output=folder).path  # type: ignore[arg-type]


@pytest.fixture
def job(project: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the summary of a job that runs in the user's folder, where the bundle lies."""
    shutil.copytree(made, project / "net")
    summary = project / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    return summary


def _ends(file: str) -> dict[str | None, str]:
    suite = ElementTree.parse(file).getroot()[0]
    return {case.get("name"): case[0].tag for case in suite}


def test_a_missed_budget_is_told_to_all_of_them(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["validate", "net", "--max-size-mb", "0.0001", "--junit", "out/junit.xml", "--github"]
    assert main(command) == 1
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if line.startswith("::error ")]
    assert told == [
        line for line in told if line.startswith("::error file=net/manifest.json,title=edgecompress validate net::")
    ]
    assert any("::max_size_mb is missed: 0.0" in line for line in told)
    assert _ends("out/junit.xml")["max_size_mb"] == "failure"
    assert "| ❌ | max_size_mb | missed: " in job.read_text()
    before = job.read_text()
    assert main(command) == 1
    assert job.read_text() == before * 2  # a step of the same job may say more


def test_an_annotation_stays_out_of_the_json(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "net", "--max-size-mb", "0.0001", "--github", "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["verdict"]["outcome"] == "fail"
    assert "::error file=net/manifest.json" in captured.err
    assert job.is_file()


def test_a_run_that_ends_in_an_error_is_told_too(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Path("net/model.onnx").open("ab") as file:
        file.write(b"\0")
    assert main(["validate", "net", "--junit", "junit.xml", "--github"]) == 2
    captured = capsys.readouterr()
    assert "'model.onnx' was changed after it was written; compress again" in captured.err
    (line,) = captured.out.splitlines()
    assert line.startswith("::error file=net/manifest.json,title=edgecompress validate net::bundle 'net': ")
    assert _ends("junit.xml") == {"bundle": "error"}
    assert "'model.onnx' was changed" in job.read_text()


def test_a_release_is_told_in_the_same_way(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("net", "next")
    assert main(["diff", "net", "next", "--junit", "junit.xml", "--github"]) == 0
    assert "::" not in capsys.readouterr().out
    assert _ends("junit.xml") == dict.fromkeys(
        ("bundle", "max_metric_loss", "max_size_growth", "max_slowdown"), "system-out"
    )
    assert job.read_text().startswith("### edgecompress diff net next\n")


@pytest.mark.usefixtures("job")
def test_nothing_passes_that_is_only_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["validate", "net", "--max-accuracy-drop", "100", "--junit", "junit.xml"]
    assert main(command) == 0
    capsys.readouterr()
    assert main([*command, "--require-measured"]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1].startswith("not decided (only recorded: max_accuracy_drop")
    assert "warning: 'max_accuracy_drop' is only recorded; give labelled --evaluation data\n" in captured.err
    assert _ends("junit.xml")["max_accuracy_drop"] == "failure"
    assert main([*command, "--evaluation", "batches.py:evaluation"]) == 0
    data = ["--evaluation", "batches.py:evaluation"]
    assert main([*command, *data, "--min-compression-ratio", "none", "--require-measured"]) == 0
    assert "within budget" in capsys.readouterr().out
    loose = ["--min-compression-ratio", "0.1", "--original", "net/model.onnx", "--evaluation", "batches.py:evaluation"]
    assert main([*command, *loose, "--require-measured"]) == 0


BAD = {
    "in the bundle": ("net/junit.xml", "lies in the bundle, which must not change; choose another --junit"),
    "in a file": ("batches.py/junit.xml", "; choose another place"),
}


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_written_is_an_error(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    file, told = BAD[name]
    assert main(["validate", "net", "--junit", file]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(told)
    assert not Path("net/junit.xml").exists()


def test_a_summary_that_cannot_be_written_is_an_error(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(job.parent))
    assert main(["validate", "net", "--github"]) == 2
    told = f"GITHUB_STEP_SUMMARY {str(job.parent)!r} cannot be written: Is a directory; leave --github out"
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {told}"
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert main(["validate", "net", "--github"]) == 0
