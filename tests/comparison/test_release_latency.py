"""Two artifacts in turn on a device: over the loopback, and with times of the test's own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgecompress
from edgecompress.cli import main
from edgecompress.comparison.release_latency import time_there
from edgecompress.errors import RecipeError
from edgecompress.recipe.device import Device
from edgecompress.recipe.tables import Cpu
from edgecompress.validation.elsewhere.measured import DeviceFigures
from edgecompress.validation.elsewhere.place import Answer, Handling
from edgecompress.validation.elsewhere.places import NamedPlace
from edgecompress.validation.elsewhere.runtimes.ssh import SshDevice
from tests.heard import Heard
from tests.networks import ConvNet, images, seeded
from tests.ssh_server import Server

QUICK = (
    *("export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "quantization.placement=table"),
    "quantization.fallback_evaluations=0",
)
HERE = f"device.python={sys.executable}"
FIGURES = {"old": 8.0, "new": 10.0}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """An INT8 bundle, and one of floats."""
    folder = tmp_path_factory.mktemp("bundles")
    for name, settings in (("old", ()), ("new", ("quantization.enabled=false",))):
        edgecompress.compress(
            seeded(ConvNet), calibration=images(seed=1), overrides=(*QUICK, *settings), output=folder / name
        )
    return str(folder / "old"), str(folder / "new")


@dataclass(frozen=True)
class Board:
    """A device with times of its own; it keeps what it was given."""

    asked: list[tuple[bytes, Any]]
    answer: Answer | None = None
    noise: float = 0.0

    def prepared(self, settings: Device) -> Board:
        return self

    def run(self, model: Path, batches: Any) -> Answer:
        raise NotImplementedError

    def measure(self, model: Path, batches: Any, timing: Any) -> Answer:
        self.asked.append((model.read_bytes(), timing))
        if self.answer is not None:
            return self.answer
        drawn = np.random.default_rng(len(self.asked)).lognormal(0, self.noise, 20)
        figures = DeviceFigures(
            artifact_ms=drawn * FIGURES["new"],
            original_ms=np.full(20, FIGURES["old"]),
            threads=4,
            before={"clock_mhz": 2400.0 / len(self.asked)},
            after={"clock_mhz": 1200.0},
        )
        return Answer(ran_on={"device": "Board 5"}, measured=figures)


def _named(place: Any) -> NamedPlace:
    return NamedPlace(name="ssh://pi@board", told="runtime 'ssh'", handling=Handling(), place=place)


def _files(folder: Path) -> list[Path]:
    for name in FIGURES:
        (folder / name).write_text(name)
    return [folder / name for name in FIGURES]


def test_the_old_file_is_timed_in_turn_with_the_new_one(tmp_path: Path) -> None:
    board, told = Board(asked=[]), Heard()
    sample = {"x": np.zeros(3)}
    found = time_there(_named(board), _files(tmp_path), sample, Cpu(runs=20, threads=2), told)
    ((artifact, timing),) = board.asked
    assert (artifact, timing.original, timing.sample, timing.runs, timing.threads) == (b"new", b"old", sample, 20, 2)
    assert found.old is not None
    assert found.new is not None
    assert found.ratio is not None
    assert (found.old.median_ms, found.new.median_ms, found.ratio.value) == pytest.approx((8.0, 10.0, 0.8))
    assert found.entry["verdict"] == "slower"
    assert (found.threads, found.device, found.ran_on) == (4, "ssh://pi@board", {"device": "Board 5"})
    assert found.doubts == (
        "the clock fell from 2400 to 1200 MHz; cool the device, or take the governor 'performance'",
    )


def test_a_noisy_device_is_asked_for_more_runs(tmp_path: Path) -> None:
    board = Board(asked=[], noise=0.3)
    found = time_there(_named(board), _files(tmp_path), {}, Cpu(runs=20), Heard())
    assert len(board.asked) == 10
    assert found.ratio is not None
    assert found.ratio.resolution > 0.02
    # The first answer has the clock before all runs.
    assert any("from 2400 to 1200 MHz" in doubt for doubt in found.doubts)


def test_what_fails_there_is_told_in_a_line(tmp_path: Path) -> None:
    lost = Answer(failure="the connection to ssh://pi@board was lost; run it again")
    with pytest.raises(RecipeError, match=r"was lost; run it again$"):
        time_there(_named(Board(asked=[], answer=lost)), _files(tmp_path), {}, Cpu(), Heard())
    nothing = "runtime 'ssh' measured no times; repair that package"
    other = "runtime 'ssh' measures no times; name a device, as ssh://pi@raspberrypi.local"
    for place, told in ((Board(asked=[], answer=Answer()), nothing), (object(), other)):
        with pytest.raises(RecipeError) as caught:
            time_there(_named(place), _files(tmp_path), {}, Cpu(), Heard())
        assert str(caught.value) == told


def test_over_the_loopback(
    device: Server,
    bundles: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgecompress.timing.settling.PATIENCE", 1)
    line = ["diff", *bundles, "--device", device.url, "--set", HERE, "--set", "device.threads=2"]
    assert main([*line, "--max-size-growth", "900", "--max-slowdown", "900"]) in (0, 1)
    assert device.is_clean()
    printed = capsys.readouterr().out
    assert "latency, 2 threads" in printed
    assert f"on {device.url}" in " ".join(printed.split())
    found = edgecompress.diff(*bundles, device=device.url, overrides=[HERE], max_size_growth=900)
    assert device.is_clean()
    assert (found.latency.device, found.latency.threads) == (device.url, 1)
    assert found.latency.entry["ran_on"]["onnxruntime"]


@pytest.mark.parametrize("pair", [(0, 1), (0, 0)])
def test_a_device_that_is_not_there_ends_before_any_work(
    bundles: tuple[str, str], pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepared(place: SshDevice, settings: Device) -> SshDevice:
        raise RecipeError("ssh://pi@board cannot be reached; check the URL, and that the device is on")

    monkeypatch.setattr(SshDevice, "prepared", prepared)
    with pytest.raises(RecipeError, match="cannot be reached"):
        edgecompress.diff(bundles[pair[0]], bundles[pair[1]], device="ssh://pi@board")


def test_keys_of_other_tables_and_passwords_are_refused(
    bundles: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", *bundles, "--device", "ssh://pi:secret@board"]) == 2
    told = capsys.readouterr().err
    assert "a URL with a password" in told
    assert "secret" not in told
    assert main(["diff", *bundles, "--set", "cpu.threads=4"]) == 2
    assert "give only keys of the table 'device'" in capsys.readouterr().err
