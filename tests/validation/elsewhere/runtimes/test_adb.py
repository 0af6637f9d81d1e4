"""An Android over adb: times of both files in turn, no agreement that nobody measured, and nothing left there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecompress.data.batches import Batch
from edgecompress.errors import RecipeError
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.device import Device
from edgecompress.runtime import to_bytes
from edgecompress.validation.elsewhere.comparison import compare_places
from edgecompress.validation.elsewhere.place import Answer
from edgecompress.validation.elsewhere.places import find_places, prepare
from edgecompress.validation.elsewhere.results import Elsewhere, PlaceResult
from edgecompress.validation.elsewhere.runtimes.adb import AdbDevice, find_place
from edgecompress.validation.elsewhere.timed import TimingTask
from tests.android import RUN, Android
from tests.conftest import ROOT
from tests.exporters.graphs import draw, graph
from tests.heard import Heard

NETWORK = to_bytes(graph("c = Conv(x, w) p = GlobalAveragePool(c) y = Flatten(p)", w=draw(6, 4, 3, 3)))
BATCHES = [Batch(inputs={"x": draw(5, 4, 8, 8)}, class_axis=1)]
TIMING = TimingTask(sample=BATCHES[0].slice(0, 1).inputs, runs=12, threads=1, original=NETWORK)


def _prepared(phone: Android, **settings: Any) -> AdbDevice:
    return find_place(phone.url.removeprefix("adb:")).prepared(Device(**{**phone.settings, **settings}))


def _answer(phone: Android, own: Path, **settings: Any) -> Answer:
    file = own / "own" / "model.onnx"
    file.parent.mkdir()
    file.write_bytes(NETWORK)
    return _prepared(phone, **settings).measure(file, [], TIMING)


def _compare(phone: Android, **settings: Any) -> PlaceResult:
    places = prepare(find_places([phone.url]), Device(**{**phone.settings, **settings}))
    (result,) = compare_places(NETWORK, BATCHES[0], BATCHES, places, Heard(), timing=TIMING)
    assert phone.left == []
    return result


def _refusal(phone: Android, **settings: Any) -> str:
    with pytest.raises(RecipeError) as caught:
        _prepared(phone, **settings)
    return str(caught.value)


def test_the_program_there_runs_both_files_on_the_sample(phone: Android) -> None:
    phone.perf_test(RUN)
    result = _compare(phone, threads=2)
    assert result.failure is None
    latency = result.entry["measured"]["latency_ms"]
    assert (latency["runs"], latency["threads"], latency["cores"]) == (12, 2, [])
    assert 0 < latency["compressed"]["median"] <= latency["compressed"]["p99"]
    assert latency["ratio_interval_95"][0] <= latency["ratio"] <= latency["ratio_interval_95"][1]


def test_a_name_of_mdns_reaches_the_device(phone: Android) -> None:
    named = replace(phone, url="adb://adb-1234 (2)._adb-tls-connect._tcp")
    phone.attached("emulator-5554\tdevice", "adb-1234 (2)._adb-tls-connect._tcp\tdevice")
    phone.adb(shell='[ "$serial" = "adb-1234 (2)._adb-tls-connect._tcp" ] || exit 1')
    result = _compare(named)
    assert (result.place, result.failure) == (named.url, None)


def test_times_memory_and_what_it_is_are_told(phone: Android) -> None:
    result = _compare(phone, cores=[0])
    assert result.measured is not None
    np.testing.assert_allclose(result.measured.artifact_ms, np.full(12, 8.0))
    assert result.measured.original_ms is not None
    np.testing.assert_allclose(result.measured.original_ms, np.full(12, 24.0))
    assert result.measured.memory_bytes == {"original": 30_000_000, "compressed": 10_000_000}
    assert result.measured.cores == (0,)
    told = dict(result.ran_on)
    assert told.pop("machine") == os.uname().machine
    assert told.pop("cpu", "x")
    assert told == {
        "device": "Google Pixel 8",
        "chip": "Google Tensor G3",
        "system": "Android 14",
        "runner": "onnxruntime_perf_test",
    }


def test_agreement_is_not_known_and_no_budget_of_it_holds_or_fails(phone: Android) -> None:
    entry = _compare(phone).entry
    unknown = ("identical", "sqnr_db", "max_abs_error", "top1_agreement", "alike", "metric", "failure")
    assert (entry["outcome"], [entry[name] for name in unknown]) == ("timed", [None] * len(unknown))
    assert entry["samples"] == 0
    found = Elsewhere(runtimes={phone.url: entry})
    assert found.agreements["runtime_agreement"] is None
    assert found.strict(Budgets()).min_runtime_agreement is None
    assert found.latencies["latency_ms"].value == pytest.approx(8.0)
    assert found.latencies["speedup"].value == pytest.approx(3.0)


def test_without_the_float_file_the_artifact_is_timed_alone(phone: Android, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(NETWORK)
    timing = TimingTask(sample=TIMING.sample, runs=3, threads=1, weigh=False)
    answer = _prepared(phone).measure(tmp_path / "model.onnx", [], timing)
    assert answer.measured is not None
    assert (answer.measured.original_ms, answer.measured.memory_bytes) == (None, {})
    assert phone.left == []


def test_without_timing_nothing_is_run(phone: Android, tmp_path: Path) -> None:
    assert "gives no outputs" in str(_prepared(phone).run(tmp_path, []).failure)


def test_the_files_have_their_turns(phone: Android, tmp_path: Path) -> None:
    """Ten runs, then the other file, which begins the next turn."""
    log = tmp_path / "log"
    phone.perf_test(
        f"open({str(log)!r}, 'a').write(model.parent.name + ' ' + options['-r'] + '\\n')\nfrom_set = 1\n" + RUN
    )
    _compare(phone)
    assert log.read_text().splitlines() == ["nothing 1", "original 6", "artifact 6", "artifact 6", "original 6"]


@pytest.mark.parametrize(
    ("listed", "serial", "told"),
    [
        ([], "", "adb knows no device; plug it in and allow USB debugging there, or adb connect HOST:PORT"),
        (["a1\tdevice", "b2\tdevice"], "", "adb knows several devices: a1, b2; name a device, as adb://a1"),
        (["a1\tdevice", "b2\tdevice"], "c3", "adb knows no device 'c3'; it knows a1, b2"),
        (
            ["a1\tunauthorized"],
            "a1",
            "adb://a1 does not know this machine; unlock its screen and allow USB debugging there",
        ),
        (["a1\toffline"], "", "adb://a1 is offline; plug it in again, or adb reconnect"),
        (
            ["a1\tno permissions (user in plugdev group; are your udev rules wrong?); see [http://x]"],
            "a1",
            "adb://a1 may not be used by this user; add the udev rule for it (Debian: adb brings them)",
        ),
        (["a1\trecovery"], "a1", "adb://a1 is in state 'recovery'; boot it"),
    ],
)
def test_a_device_that_cannot_be_used_is_told(phone: Android, listed: list[str], serial: str, told: str) -> None:
    phone.attached(*listed)
    with pytest.raises(RecipeError) as caught:
        find_place(f"//{serial}").prepared(Device(**phone.settings))
    assert str(caught.value) == told


def test_without_adb_a_line_says_what_to_install(phone: Android, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(phone.folder / "bin"))
    assert _refusal(phone) == (
        "a device over adb needs Android's adb, and the PATH has none; install it (Debian: apt-get install adb)"
    )


def test_what_the_run_lacks_there_is_told(phone: Android, tmp_path: Path) -> None:
    phone.runner.chmod(0o644)
    if os.access(phone.runner, os.X_OK):
        pytest.skip("this user may run any file")
    assert _refusal(phone) == f"{phone.runner} on {phone.url} may not be run; adb shell chmod 755 does it"
    phone.runner.unlink()
    assert _refusal(phone) == (
        f"{phone.url} has no {phone.runner}; build onnxruntime_perf_test for it and adb push it there, or set"
        " device.runner to where it is"
    )
    assert _refusal(phone, folder="/nowhere") == (
        f"folder '/nowhere' on {phone.url} cannot be written; set device.folder to another"
    )
    assert _refusal(phone, onnxruntime="1.27.0") == (
        "device.onnxruntime is for a Python, which adb does not use; put another device.runner there"
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "adb: error: failed to copy 'a' to 'b': remote write failed: No space left on device",
            "{url} has no room in {room!r}; remove something, or set device.folder",
        ),
        (
            "adb: error: failed to copy 'a' to 'b': remote secure_mkdirs failed: Operation not permitted",
            "folder {room!r} on {url} cannot be written; set device.folder to another",
        ),
        (
            "adb: error: failed to read copy response: EOF",
            "nothing can be copied to {url}: failed to read copy response: EOF; run it again",
        ),
    ],
)
def test_what_cannot_be_pushed_is_told(phone: Android, tmp_path: Path, said: str, told: str) -> None:
    phone.adb(push=f'mkdir -p "$2/$(basename "$1")"; echo "{said}" >&2; exit 1')
    assert _answer(phone, tmp_path).failure == told.format(url=phone.url, room=str(phone.room))
    assert phone.left == []


def test_a_file_that_the_program_refuses_is_told(phone: Android, tmp_path: Path) -> None:
    phone.perf_test("sys.exit('Load model failed: Unsupported model IR version: 10, max supported IR version: 9')")
    assert _answer(phone, tmp_path).failure == (
        f"onnxruntime_perf_test fails on {phone.url}: Load model failed: Unsupported model IR version: 10, max"
        " supported IR version: 9"
    )
    assert phone.left == []
    assert _compare(phone).entry["outcome"] == "failed"


def test_another_program_is_not_believed(phone: Android, tmp_path: Path) -> None:
    phone.perf_test("sys.exit(0)")
    assert "writes no times as onnxruntime_perf_test does; look at its version" in str(_answer(phone, tmp_path).failure)
    assert phone.left == []


def test_a_lost_connection_is_told(phone: Android, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(NETWORK)
    place = _prepared(phone)
    phone.adb(shell="""case "$*" in *perf_test*) echo "error: device 'emulator-5554' not found" >&2; exit 1;; esac""")
    told = f"the connection to {phone.url} was lost: device 'emulator-5554' not found; run it again"
    assert place.measure(file, [], TIMING).failure == told
    assert phone.left == []


def test_a_run_that_takes_too_long_is_ended(phone: Android, tmp_path: Path) -> None:
    phone.perf_test("time.sleep(600)")
    file = tmp_path / "model.onnx"
    file.write_bytes(NETWORK)
    place = AdbDevice(url=_prepared(phone).url, settings=Device(**phone.settings), limit_s=1.0)
    assert place.measure(file, [], TIMING).failure == f"not done on {phone.url} after 1 s; look at what else runs there"
    assert phone.left == []


def test_what_cannot_be_removed_is_told(phone: Android, tmp_path: Path) -> None:
    phone.adb(shell='case "$*" in trap*) exit 1;; esac')
    assert str(_answer(phone, tmp_path).failure).endswith("could not be removed; remove it")


def test_folders_that_nobody_has_any_more_are_removed(phone: Android) -> None:
    for name, age_s in (("old", 10_000), ("young", 60)):
        folder = phone.room / f"edgecompress-device-{name}"
        folder.mkdir()
        os.utime(folder, (time.time() - age_s,) * 2)
    (phone.room / "another").mkdir()
    _prepared(phone)
    assert phone.left == ["another", "edgecompress-device-young"]


INTERRUPTED = """
import sys
from pathlib import Path
from edgecompress.recipe.device import Device
from tests.validation.elsewhere.runtimes.test_adb import TIMING, NETWORK
from edgecompress.validation.elsewhere.runtimes.adb import find_place
from edgecompress.cli.signals import raised_signals
place = find_place("//emulator-5554").prepared(Device(folder=sys.argv[1], runner=sys.argv[2]))
model = Path(sys.argv[3], "model.onnx")
model.write_bytes(NETWORK)
with raised_signals():
    place.measure(model, [], TIMING)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=str)
def test_an_interrupted_run_leaves_nothing(phone: Android, tmp_path: Path, number: signal.Signals) -> None:
    begun = tmp_path / "begun"
    phone.perf_test(f"Path({str(begun)!r}).touch()\ntime.sleep(5)\nsys.exit(1)")
    command = [sys.executable, "-c", INTERRUPTED, str(phone.room), str(phone.runner), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _await(begun.exists)
        assert len(phone.left) == 1
        process.send_signal(number)
        process.wait(60)
    _await(lambda: phone.left == [])


def _await(condition: Any) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_stands_for_adb_copies_back(phone: Android, tmp_path: Path) -> None:
    (phone.room / "a").write_text("b")
    subprocess.run(
        [shutil.which("adb") or "", "-s", "x", "pull", str(phone.room / "a"), str(tmp_path / "c")], check=True
    )
    assert (tmp_path / "c").read_text() == "b"
