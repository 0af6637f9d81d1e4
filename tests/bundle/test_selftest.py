"""The self-test passes on the device as it was written, and fails when anything was changed."""

from __future__ import annotations

import hashlib
import json
import platform
import random
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import edgecompress
from edgecompress.bundle import selftest
from tests.networks import ConvNet, LinearStack, images, seeded, vectors


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("selftest") / "bundle"
    return edgecompress.compress(seeded(ConvNet), calibration=images(), evaluation=images(seed=1), output=output).path


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return shutil.copytree(bundle, tmp_path / "bundle")


def _run(folder: Path, python: str = sys.executable, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    command = [python, "-I", str(folder / "selftest.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_it_leaves_no_file_of_onnx_runtime_s_telemetry(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert _run(bundle).returncode == 0
    assert list(tmp_path.iterdir()) == []


def _flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1
    path.write_bytes(content)


FILES = (
    *("model.onnx", "model.ort", "required_operators.config", "manifest.json", "recipe.toml"),
    *("report.html", "report.json", "sbom.json", "selftest.npz", "selftest.py"),
)


def test_a_bundle_holds_these_files(bundle: Path) -> None:
    assert tuple(sorted(path.name for path in bundle.iterdir())) == tuple(sorted(FILES))


def test_it_passes_and_prints_json(bundle: Path) -> None:
    done = _run(bundle)
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert done.stderr == ""
    assert report["verdict"] == "pass"
    assert report["parity"]["identical"]
    assert 0 < report["latency_ms"]["median"] <= report["latency_ms"]["p95"] <= report["latency_ms"]["p99"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_changed_byte_of_any_file_fails(copy: Path, name: str, seed: int) -> None:
    _flip(copy / name, random.Random(f"{name}{seed}").randrange(2**40))
    done = _run(copy)
    assert done.returncode == 1
    if name != "selftest.py":  # a changed program may not even start
        assert json.loads(done.stdout)["verdict"] == "fail"


@pytest.mark.parametrize("name", [name for name in FILES if name != "selftest.py"])
def test_a_missing_file_fails(copy: Path, name: str) -> None:
    (copy / name).unlink()
    done = _run(copy)
    assert done.returncode == 1
    assert json.loads(done.stdout)["verdict"] == "fail"


def test_an_added_file_fails(copy: Path) -> None:
    (copy / "notes.txt").write_text("mine")
    done = _run(copy)
    assert done.returncode == 1
    assert json.loads(done.stdout)["files"]["notes.txt"] == "unknown"


def test_it_needs_numpy_and_onnxruntime_alone(bundle: Path, tmp_path: Path) -> None:
    home = tmp_path / "device"
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    needed = [f"{name}=={metadata.version(name)}" for name in ("numpy", "onnxruntime")]
    filled = subprocess.run([python, "-m", "pip", "install", "-q", *needed], capture_output=True, check=False)
    if filled.returncode:
        pytest.skip("no package index can be reached, so that no bare environment can be made")
    absent = "import importlib.util as u; assert not any(map(u.find_spec, ('torch', 'onnx', 'edgecompress')))"
    subprocess.run([python, "-I", "-c", absent], check=True)
    done = _run(bundle, python)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["verdict"] == "pass"


class Saturating:
    """A session on a CPU whose sums saturate: half of what the file means."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs

    def run(self, names: None, inputs: dict[str, Any]) -> list[Any]:
        return [output / 2 for output in self._session.run(names, inputs)]


@pytest.mark.parametrize(("isa", "verdict"), [(None, "fail"), ("of this machine", "fail"), ("of another", "pass")])
def test_sums_that_saturate_fail_on_the_target_s_own_kind_of_cpu(
    isa: str | None, verdict: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = "x86-vnni" if platform.machine() in ("x86_64", "AMD64") else "armv8.0"
    there = "armv8.0" if here == "x86-vnni" else "x86-vnni"
    _rewrite(copy, {None: None, "of this machine": here, "of another": there}[isa])
    opened = selftest.open_session

    def saturating(path: Path, *, exact: bool = False, threads: int = 1) -> Any:
        session = opened(path, exact=True, threads=threads)
        return session if exact else Saturating(session)

    monkeypatch.setattr(selftest, "open_session", saturating)
    report = selftest.run(copy)
    assert report["verdict"] == verdict
    assert report["parity"]["sqnr_db"] > 40
    assert report["deployed_parity"]["sqnr_db"] == pytest.approx(6.02, abs=0.01)  # an error of half the signal
    assert "session.x64quantprecision=1" in report["saturates"]


def _rewrite(folder: Path, isa: str | None) -> None:
    """Let the manifest of a bundle name another CPU."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest["digest"]
    manifest["recipe"]["cpu"]["isa"] = isa
    manifest["digest"] = hashlib.sha256(selftest.canonical(manifest)).hexdigest()
    (folder / "manifest.json").write_bytes(selftest.canonical(manifest))


@pytest.mark.parametrize(
    ("declared", "axis", "rows"),
    [((2, "batch", 3), 1, 1), ((2, 4, 3), 1, 4), (("batch", 4, 3), 0, 1), ((2, 4, 3), -1, 2)],
)
def test_one_sample_is_timed_along_its_batch_axis(
    declared: tuple[int | str, ...], axis: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest, "RUNS", 1)
    taken: list[Any] = []
    session = SimpleNamespace(
        get_inputs=lambda: [SimpleNamespace(name="h", shape=declared)],
        run=lambda _, inputs: taken.append(inputs["h"]),
    )
    state = np.arange(24).reshape(2, 4, 3)
    selftest.measure_latency(session, {"input_h": state} | ({"axis_h": np.array(axis)} if axis else {}))
    assert (taken[0] == (state if axis < 0 else state.take(range(rows), axis))).all()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The float model, as the documentation has it written."""
    output = tmp_path_factory.mktemp("original") / "float"
    plain = ["quantization.enabled=false"]
    return edgecompress.compress(seeded(ConvNet), calibration=images(), output=output, overrides=plain).artifact


def test_the_float_model_is_timed_in_turn_and_gives_the_speedup(bundle: Path, original: Path) -> None:
    done = _run(bundle, options=["--original", str(original), "--runs", "20", "--threads", "2"])
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    speedup, medians = report["speedup"], [report[key]["median"] for key in ("original_latency_ms", "latency_ms")]
    assert 0 < speedup["low"] <= speedup["ratio"] <= speedup["high"]
    assert min(medians) > 0
    assert "notes" not in report


def test_without_it_the_report_says_what_to_give(bundle: Path) -> None:
    report = json.loads(_run(bundle).stdout)
    assert report["notes"] == [
        "the speedup is not measured; give the float model: python selftest.py --original FLOAT.onnx"
    ]
    assert "speedup" not in report


def test_a_float_model_in_the_bundle_s_folder_is_no_unknown_file(copy: Path, original: Path) -> None:
    shutil.copy(original, copy / "float.onnx")
    assert json.loads(_run(copy).stdout)["files"]["float.onnx"] == "unknown"
    report = json.loads(_run(copy, options=["--original", "float.onnx"]).stdout)
    assert report["verdict"] == "pass"
    assert "float.onnx" not in report["files"]


def test_help_is_told_and_nothing_is_run(bundle: Path) -> None:
    done = _run(bundle, options=["--help"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "--original FLOAT.onnx" in done.stdout
    assert "{" not in done.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--original", "none.onnx"], "there is no file none.onnx; give the float model as an ONNX file"),
        (["--original", "manifest.json"], "cannot be run: "),
        (["--runs", "0"], "'0' is no number from 1 to 100,000; give one of these"),
        (["--runs", "9" * 5000], "is no number from 1 to 100,000; give one of these"),
        (["--threads", "many"], "'many' is no number from 1 to 256; give one of these"),
        (["--threads", "99999"], "'99999' is no number from 1 to 256; give one of these"),
        (["--run"], "expected one argument"),
        (["--gpu"], "unrecognized arguments: --gpu"),
    ],
)
def test_a_wrong_argument_ends_in_a_line(options: list[str], words: str, bundle: Path) -> None:
    done = _run(bundle, options=options)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_float_model_of_another_network_is_refused(bundle: Path, tmp_path: Path) -> None:
    other = edgecompress.compress(
        seeded(LinearStack),
        calibration=vectors(),
        output=tmp_path / "other",
        overrides=["quantization.enabled=false"],
    ).artifact
    done = _run(bundle, options=["--original", str(other)])
    assert done.returncode == 2
    assert "give the float model of this bundle" in done.stderr


def test_the_speedup_is_the_median_of_rounds_and_its_ends_are_of_ten_parts() -> None:
    before = [2.0] * 40 + [6.0] * 10
    found = selftest.speedup_of(before, [1.0] * 50)
    assert found == {"ratio": 2.0, "low": 2.0, "high": 6.0}
    assert selftest.speedup_of([3.0], [1.5]) == {"ratio": 2.0, "low": 2.0, "high": 2.0}
