"""``--device`` from the command line to the manifest: figures, budgets, exit status, and what never reaches ssh."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgecompress
from edgecompress.bundle.draft import open_draft
from edgecompress.bundle.reading import read_bundle
from edgecompress.cli import main
from edgecompress.recipe.device import Device
from edgecompress.runtime import open_session, run_session
from edgecompress.validation.elsewhere.measured import DeviceFigures
from edgecompress.validation.elsewhere.place import Answer
from edgecompress.validation.elsewhere.runtimes.ssh import SshDevice
from tests.android import Android
from tests.conftest import ROOT
from tests.networks import ConvNet, images, seeded
from tests.ssh_server import Server

QUICK = (
    *("export.simplify=false", "cpu.runs=10", "quantization.adaround=false"),
    "budgets.min_compression_ratio=none",
)
SET = [word for assignment in QUICK for word in ("--set", assignment)]
COMPRESS = ["compress", "nets.py:net", "--calibration", "batches.py:calibration", *SET]
HERE = ["--set", f"device.python={sys.executable}"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a small network."""
    folder = tmp_path_factory.mktemp("devices") / "made"
    network, data = seeded(ConvNet), images(seed=1)
    return edgecompress.compress(network, calibration=data, overrides=QUICK, output=folder).path


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    """A copy of it, which may be written to."""
    return shutil.copytree(made, tmp_path / "made")


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that takes 8 ms for the artifact and 24 ms for the float file, without a connection."""

    def measure(place: SshDevice, model: Path, batches: Any, timing: Any) -> Answer:
        answer = _run_here(model, batches)
        steady = np.full(20, 8.0)
        float_ms = None if timing.original is None else 3 * steady
        return Answer(
            outputs=answer,
            ran_on={"onnxruntime": "1.2.3", "device": "Board 5", "cpu": "Cortex-A76", "machine": "aarch64"},
            measured=DeviceFigures(
                artifact_ms=steady,
                original_ms=float_ms,
                threads=place.settings.threads or timing.threads,
                memory_bytes={"compressed": 2_000_000},
                before={"temperature_c": 41.0, "clock_mhz": 2400.0},
                after={"temperature_c": 55.5, "clock_mhz": 2400.0},
            ),
        )

    monkeypatch.setattr(SshDevice, "prepared", lambda place, settings: SshDevice(url=place.url, settings=settings))
    monkeypatch.setattr(SshDevice, "measure", measure)


def _run_here(model: Path, batches: Any) -> list[dict[str, Any]]:
    session = open_session(model, 1)
    names = [spec.name for spec in session.get_outputs()]
    return [dict(zip(names, run_session(session, batch), strict=True)) for batch in batches]


def _entry(bundle: Path) -> dict[str, Any]:
    ((name, entry),) = read_bundle(bundle).manifest.runtimes.items()
    return {"name": name, **entry}


def test_validate_runs_a_bundle_on_a_device_and_records_it(
    device: Server, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["validate", str(bundle), "--device", device.url, *HERE, "--original", str(bundle / "model.onnx")]
    assert main([*command, "--max-latency-ms", "60000"]) in (0, 1)
    printed = capsys.readouterr().out
    assert device.is_clean()
    assert f"on {device.url}" in printed
    entry = _entry(bundle)
    assert (entry["name"], entry["identical"], entry["samples"]) == (device.url, True, 4)
    assert entry["measured"]["latency_ms"]["compressed"]["median"] > 0
    report = json.loads((bundle / "report.json").read_text())
    assert report["runtimes"][device.url]["measured"] == entry["measured"]
    page = (bundle / "report.html").read_text()
    assert "Measured on" in page
    assert f"The times on <code>{device.url}</code> decide the budgets of latency" in page
    assert main(["validate", str(bundle)]) in (0, 1)
    assert "recorded on" in " ".join(capsys.readouterr().out.split())


def test_compress_runs_the_artifact_on_a_device(device: Server, project: Path) -> None:
    assert main([*COMPRESS, "--device", device.url, *HERE, "--output", "out"]) in (0, 1)
    entry = _entry(project / "out")
    assert (entry["name"], entry["identical"]) == (device.url, True)
    assert entry["measured"]["latency_ms"]["original"]["median"] > 0
    assert device.is_clean()


@pytest.mark.parametrize(("limit", "status", "outcome"), [("8.5", 0, "pass"), ("7.5", 1, "fail")])
def test_the_device_decides_budgets_of_latency(
    board: None, bundle: Path, capsys: pytest.CaptureFixture[str], limit: str, status: int, outcome: str
) -> None:
    command = ["validate", str(bundle), "--device", "ssh://pi@board", "--max-latency-ms", limit, "--json"]
    assert main([*command, "--original", str(bundle / "model.onnx")]) == status
    document = json.loads(capsys.readouterr().out)
    assert document["measures"]["latency_ms"]["value"] == 8.0
    assert document["measures"]["latency_ms"]["source"] == "measured on ssh://pi@board"
    assert document["measures"]["speedup"]["value"] == pytest.approx(3.0)
    found = {check["budget"]: check["outcome"] for check in document["verdict"]["budgets"]}
    assert (found["max_latency_ms"], found["min_speedup"]) == (outcome, "pass")


def test_the_device_decides_budgets_of_latency_of_a_new_bundle(board: None, project: Path) -> None:
    command = [*COMPRESS, "--device", "ssh://pi@board"]
    assert main([*command, "--set", "budgets.max_latency_ms=7.5", "--output", "slow"]) == 1
    assert main([*command, "--set", "budgets.max_latency_ms=8.5", "--output", "fast"]) == 0
    checks = {check.budget: check for check in read_bundle("fast").manifest.verdict.budgets}
    assert checks["max_latency_ms"].value == 8.0
    assert checks["max_latency_ms"].interval_95 == (8.0, 8.0)
    assert checks["min_speedup"].value == pytest.approx(3.0)


def test_what_is_recorded_is_judged_anew(board: None, bundle: Path) -> None:
    before = {check.budget: check for check in read_bundle(bundle).manifest.verdict.budgets}
    assert before.keys() == {"max_accuracy_drop", "min_speedup"}
    command = ["validate", str(bundle), "--device", "ssh://pi@board", "--original", str(bundle / "model.onnx")]
    assert main(command) in (0, 1)
    after = {check.budget: check for check in read_bundle(bundle).manifest.verdict.budgets}
    assert after["min_speedup"].value == pytest.approx(3.0)
    assert after["min_runtime_agreement"].outcome == "pass"
    assert after["max_accuracy_drop"] == before["max_accuracy_drop"]


def test_an_android_is_timed_and_nothing_is_said_of_its_outputs(
    phone: Android, bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    there = [word for key, value in phone.settings.items() for word in ("--set", f"device.{key}={value}")]
    command = ["validate", str(bundle), "--device", phone.url, *there, "--original", str(bundle / "model.onnx")]
    assert main([*command, "--max-latency-ms", "8.5"]) == 0
    printed = capsys.readouterr().out
    assert "emulator-5554  not known          -         -          -        -" in printed
    assert f"{phone.url}: only timed, since onnxruntime_perf_test gives no outputs" in printed
    assert "outputs there against" not in printed
    assert main([*command, "--max-latency-ms", "7.5"]) == 1
    assert phone.left == []
    entry = _entry(bundle)
    assert (entry["name"], entry["outcome"], entry["identical"], entry["sqnr_db"]) == (phone.url, "timed", None, None)
    assert entry["measured"]["latency_ms"]["compressed"]["median"] == pytest.approx(8.0)
    found = {check.budget for check in read_bundle(bundle).manifest.verdict.budgets}
    assert "min_runtime_agreement" not in found
    assert "gives no outputs: whether they agree is not known" in (bundle / "report.html").read_text()
    capsys.readouterr()
    assert main([*command, "--min-runtime-agreement", "1"]) == 2
    assert capsys.readouterr().err.startswith("error: '--min-runtime-agreement' was asked for, and runtime_agreement")


def test_a_record_may_be_left_as_it_is(board: None, bundle: Path) -> None:
    whole = (bundle / "manifest.json").read_bytes()
    assert main(["validate", str(bundle), "--device", "ssh://pi@board", "--no-record"]) in (0, 1)
    assert (bundle / "manifest.json").read_bytes() == whole


def test_a_signed_bundle_stays_signed(
    board: None, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    key, public = tmp_path / "key.pem", tmp_path / "pub.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    assert main(["sign", str(bundle), "--key", str(key)]) == 0
    whole = (bundle / "manifest.json").read_bytes()
    command = ["validate", str(bundle), "--device", "ssh://pi@board", "--verify-key", str(public)]
    assert main(command) in (0, 1)
    told = f"bundle {str(bundle)!r} is signed, and its record is left as it is; add --sign KEY.pem, or --no-record"
    assert told in " ".join(capsys.readouterr().err.split())
    assert (bundle / "manifest.json").read_bytes() == whole
    assert main([*command, "--sign", str(key)]) in (0, 1)
    assert _entry(bundle)["name"] == "ssh://pi@board"
    assert main(["validate", str(bundle), "--verify-key", str(public)]) in (0, 1)


def test_what_is_there_stays_where_the_record_cannot_be_written(
    board: None, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    partial = bundle.parent / f".{bundle.name}.partial"
    partial.write_text("a file in the place of the draft")
    whole = (bundle / "manifest.json").read_bytes()
    assert main(["validate", str(bundle), "--device", "ssh://pi@board"]) in (0, 1)
    assert "cannot be written" in capsys.readouterr().err
    assert (bundle / "manifest.json").read_bytes() == whole


def test_the_table_of_a_device_is_within_80_columns(
    board: None, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(bundle.parent)
    url = "ssh://engineer@raspberrypi-5.local:2222"
    assert main(["validate", "made", "--device", url, "--original", "made/model.onnx"]) in (0, 1)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "latency, 1 thread  24.0 ms  8.00 ms  3.00x faster (3.00-3.00)" in printed
    assert "Board 5, Cortex-A76, aarch64; onnxruntime 1.2.3; temperature, 41 to 56 °C;" in printed


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ssh://pi:secret@board", "a URL with a password in 'device.url'; leave it out"),
        ("ssh://-oProxyCommand=touch@board", "its user is no name, got 'ssh://-oProxyCommand=touch@board'"),
        ("ssh://-oProxyCommand=touch", "its host is no name, got 'ssh://-oProxyCommand=touch'"),
    ],
)
@pytest.mark.parametrize("command", ["validate", "compress"])
def test_a_url_that_ssh_must_not_see_is_refused(
    project: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], command: str, url: str, told: str,
) -> None:  # fmt: skip
    reached = _spy(tmp_path, monkeypatch)
    line = COMPRESS if command == "compress" else ["validate", str(bundle)]
    assert main([*line, "--device", url]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {told}")
    assert len(error.splitlines()) == 1
    assert "secret" not in error
    assert not reached.exists()


def test_a_bundle_that_was_changed_is_never_sent(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reached = _spy(tmp_path, monkeypatch)
    (bundle / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes() + b"\0")
    assert main(["validate", str(bundle), "--device", "ssh://pi@board"]) == 2
    assert "was changed after it was written" in capsys.readouterr().err
    assert not reached.exists()


def _spy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a client on the PATH that leaves a file where it is called; that file."""
    client, reached = folder / "spies" / "ssh", folder / "reached"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\necho "$@" >{shlex.quote(str(reached))}\nexit 255\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}{os.pathsep}{os.environ['PATH']}")
    return reached


def test_keys_of_other_tables_are_of_the_run_before(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(bundle), "--set", "cpu.threads=4"]) == 2
    assert capsys.readouterr().err == (
        "error: 'cpu.threads' was fixed when the bundle was made; give only keys of the table 'device', such as"
        " device.python=PATH\n"
    )


def test_what_a_bundle_names_is_not_run_on_a_device(bundle: Path, monkeypatch: pytest.MonkeyPatch, board: None) -> None:
    """A stranger's recipe says how many threads, and not which program."""
    seen: list[Device] = []

    def prepared(place: SshDevice, settings: Device) -> SshDevice:
        seen.append(settings)
        return SshDevice(url=place.url, settings=settings)

    monkeypatch.setattr(SshDevice, "prepared", prepared)
    manifest = read_bundle(bundle).manifest
    table = {"url": "ssh://evil@elsewhere", "python": "/bin/rm", "threads": 3}
    changed = manifest.model_copy(update={"recipe": {**manifest.recipe, "device": table}})
    files = {name: (bundle / name).read_bytes() for name in manifest.files}
    with open_draft(bundle, overwrite=True) as draft:
        draft.finish(files, changed)
    assert main(["validate", str(bundle)]) in (0, 1)
    assert seen == []
    assert main(["validate", str(bundle), "--device", "ssh://pi@board"]) in (0, 1)
    assert [(table.url, table.python, table.threads) for table in seen] == [("ssh://pi@board", "python3", 3)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=str)
def test_an_interrupted_run_leaves_nothing_on_the_device(device: Server, bundle: Path, number: signal.Signals) -> None:
    begun = device.folder / "begun"
    python = device.python("python", f'[ "$3" != run ] || {{ touch {begun}; sleep 60; }}\nexec {sys.executable} "$@"')
    command = [sys.executable, "-m", "edgecompress", "validate", str(bundle), "--device", device.url]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([*command, "--set", f"device.python={python}"], env=environment) as process:
        until = time.monotonic() + 300
        while not begun.exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert device.left != []
        process.send_signal(number)
    assert device.is_clean()
