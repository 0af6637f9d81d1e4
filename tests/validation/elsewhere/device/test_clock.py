"""A device times candidates: over the loopback, each operator once for each kind of device."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

import edgecompress
from edgecompress.arrays import Inputs
from edgecompress.errors import RecipeError
from edgecompress.pruning.channels.operator_times import Operator, single
from edgecompress.recipe.device import Device
from edgecompress.recipe.tables import parse_recipe
from edgecompress.runtime import to_bytes
from edgecompress.validation.elsewhere.device.clock import AT_ONCE, DeviceClock, clock_of, kept_times
from edgecompress.validation.elsewhere.device.connection import DeviceError
from edgecompress.validation.elsewhere.places import find_places
from edgecompress.validation.elsewhere.runtimes.ssh import SshDevice, TimingOptions, find_place
from tests.android import Android
from tests.exporters.graphs import draw, graph
from tests.heard import Heard
from tests.networks import ConvNet, LinearStack, images, seeded, vectors
from tests.ssh_server import Server

LAYER = Operator(source=(1, 4, 16, 16), weight=(8, 4, 3, 3), kind="Conv", settings=(("group", 1), ("pads", (1,) * 4)))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@dataclass(frozen=True, kw_only=True)
class Board(SshDevice):
    """A device without a connection: an operator takes a microsecond for each byte of its file."""

    asked: list[int] = field(default_factory=list)
    fault: str = ""

    def time_operators(self, operators: Sequence[bytes], timing: TimingOptions) -> list[float]:
        if self.fault:
            raise DeviceError(self.fault)
        self.asked.append(len(operators))
        return [len(content) / 1000 for content in operators]

    def time_networks(self, networks: Sequence[bytes], sample: Inputs, timing: TimingOptions) -> NDArray[np.float64]:
        raise DeviceError(self.fault)


def _board(**found: Any) -> Board:
    return Board(url=find_place("//pi@board").url, found={"machine": "aarch64", **found})


def _clock(device: SshDevice, threads: int = 1, told: Heard | None = None) -> DeviceClock:
    return DeviceClock(device=device, threads=threads, folder=kept_times(), progress=told or Heard())


@pytest.mark.parametrize(("technique", "key"), [("pruning", "goal"), ("pruning", "spread"), ("low_rank", "goal")])
def test_a_device_that_times_whole_files_alone_times_no_candidates(technique: str, key: str) -> None:
    table = {"device": {"url": "adb://a1"}, technique: {"enabled": True, key: "latency"}}
    with pytest.raises(RecipeError) as caught:
        clock_of(find_places(["adb://a1"]), parse_recipe(table), Heard())
    assert str(caught.value) == (
        f"'{technique}.{key}=latency' needs the times of candidates, and adb://a1 times only whole files; leave it"
        " out, or give a device as ssh://HOST"
    )
    assert clock_of(find_places(["adb://a1"]), parse_recipe({"device": {"url": "adb://a1"}}), Heard()) is None


STUDENT = {"device": {"url": "adb://a1"}, "distillation": {"enabled": True}, "budgets": {"max_latency_ms": 2.0}}


def test_a_device_that_times_whole_files_alone_derives_no_student() -> None:
    recipe = parse_recipe(STUDENT)
    with pytest.raises(RecipeError) as caught:
        clock_of(find_places(["adb://a1"]), recipe, Heard(), derives=True)
    assert str(caught.value) == (
        "finding a small network that keeps the latency budgets needs the times of candidates, and adb://a1 times only"
        " whole files; give a small network of your own as the model and the large one as the teacher (--teacher), or"
        " give a device as ssh://HOST"
    )
    assert clock_of(find_places(["adb://a1"]), recipe, Heard(), derives=False) is None
    assert clock_of(find_places(["ssh://pi@board"]), recipe, Heard(), derives=True) is None


def test_a_run_that_would_derive_a_student_there_is_refused(phone: Android, tmp_path: Path) -> None:
    overrides = [*(f"device.{key}={value}" for key, value in phone.settings.items()), f"device.url={phone.url}"]
    overrides += ["distillation.enabled=true", "quantization.enabled=false", "budgets.max_latency_ms=2"]
    data: Mapping[str, Any] = {"calibration": images(seed=1), "train": images(seed=2), "overrides": overrides}
    with pytest.raises(
        RecipeError, match="needs the times of candidates, and adb://emulator-5554 times only whole files"
    ):
        edgecompress.compress(seeded(ConvNet), **data, output=tmp_path / "made")
    assert not (tmp_path / "made").exists()


def _operators(count: int) -> list[ir.Model]:
    return [single(LAYER, 4, width) for width in range(1, count + 1)]


def _expected(models: Sequence[ir.Model]) -> list[float]:
    return [len(to_bytes(model)) / 1000 for model in models]


def test_an_operator_is_timed_once_for_each_kind_of_device(home: Path) -> None:
    board, models = _board(model="Board 5"), _operators(AT_ONCE + 6)
    assert _clock(board).operators(models) == _expected(models)
    assert board.asked == [AT_ONCE, 6]
    again = _board(model="Board 5")
    assert _clock(again).operators([*models, *_operators(AT_ONCE + 7)]) == _expected(
        [*models, *_operators(AT_ONCE + 7)]
    )
    assert again.asked == [1]
    (kept,) = (home / ".cache" / "edgecompress" / "devices").iterdir()
    assert len(json.loads(kept.read_text())["times_ms"]) == AT_ONCE + 7
    other = _board(model="Board 4")
    _clock(other).operators(models[:3])
    assert other.asked == [3]


@pytest.mark.parametrize("changed", ["threads", "cores", "onnxruntime", "wheels"])
def test_other_conditions_are_other_times(changed: str) -> None:
    _clock(_board()).operators(_operators(3))
    board = _board(**({"onnxruntime": "1.27.0"} if changed == "onnxruntime" else {}))
    if changed == "cores":
        board = replace(board, settings=Device(cores=(1,)))
    if changed == "wheels":
        board = replace(board, wheels={"onnxruntime-1.27.0.whl": b""})
    _clock(board, threads=2 if changed == "threads" else 1).operators(_operators(3))
    assert board.asked == [3]


def test_what_another_run_keeps_meanwhile_stays() -> None:
    first, second = _operators(2)
    other, told = _clock(_board()), Heard()

    class Slow(Board):
        def time_operators(self, operators: Sequence[bytes], timing: TimingOptions) -> list[float]:
            other.operators([second])
            return super().time_operators(operators, timing)

    clock = _clock(Slow(url=_board().url, found=_board().found), told=told)
    assert clock.file == other.file
    assert clock.operators([first]) == _expected([first])
    again = _board()
    assert _clock(again).operators([first, second]) == _expected([first, second])
    assert again.asked == []
    assert told.lines == []


@pytest.mark.parametrize("text", ["", "[]", '{"times_ms": 3}', '{"times_ms": {"a": "b"}}'])
def test_a_file_that_is_not_ours_is_measured_over(text: str) -> None:
    clock = _clock(_board())
    clock.file.parent.mkdir(parents=True)
    clock.file.write_text(text)
    assert clock.operators(_operators(2)) == _expected(_operators(2))
    assert len(json.loads(clock.file.read_text())["times_ms"]) == 2


def test_a_cache_that_cannot_be_written_is_told(home: Path) -> None:
    home.mkdir()
    (home / ".cache").write_text("a file")
    told = Heard()
    assert _clock(_board(), told=told).operators(_operators(2)) == _expected(_operators(2))
    (warning,) = told.lines
    assert warning.startswith("the times of the device are not kept: ")


def test_a_device_that_fails_ends_the_run_in_a_line() -> None:
    lost = "the connection to ssh://pi@board was lost; run it again"
    clock = _clock(replace(_board(), fault=lost))
    for ask in (lambda: clock.operators(_operators(1)), lambda: clock.networks([], {}, 5)):
        with pytest.raises(RecipeError) as caught:
            ask()
        assert str(caught.value) == lost


def test_only_the_device_of_the_recipe_is_a_clock() -> None:
    places = find_places(["ssh://pi@board", "ssh://pi@other"])
    recipe = parse_recipe({"device": {"url": "ssh://pi@other"}, "cpu": {"threads": 3}})
    clock = clock_of(places, recipe, Heard())
    assert clock is not None
    assert (clock.device.url.host, clock.threads) == ("other", 3)
    threads = parse_recipe({"device": {"url": "ssh://pi@board", "threads": 2}})
    clock = clock_of(places, threads, Heard())
    assert clock is not None
    assert (clock.device.url.host, clock.threads) == ("board", 2)
    assert clock_of(places, parse_recipe({}), Heard()) is None
    assert clock_of([], recipe, Heard()) is None


def test_over_the_loopback(device: Server) -> None:
    place = find_place(device.url.removeprefix("ssh:")).prepared(Device(python=sys.executable))
    clock, layers = _clock(place), _operators(3)
    times = clock.operators(layers)
    assert len(times) == 3
    assert min(times) > 0
    assert device.is_clean()
    small, large = (graph("y = Conv(x, w)", w=draw(width, 4, 3, 3)) for width in (1, 64))
    measured = clock.networks([small, large], {"x": np.zeros((64, 4, 8, 8), np.float32)}, 10)
    assert measured.shape == (10, 2)
    assert measured[:, 1].min() > measured[:, 0].min() > 0
    with pytest.raises(RecipeError, match=r"refuses a candidate: "):
        clock.networks([graph("y = Nothing(x)")], {"x": np.zeros((1, 4, 8, 8), np.float32)}, 10)
    assert device.is_clean()
    assert clock.operators(layers) == times


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What a device is asked to time, which takes as long as the models are large: other programs disturb it there."""
    asked: list[tuple[str, int]] = []
    for name in ("time_operators", "time_networks"):
        real = getattr(SshDevice, name)

        def counted(place: SshDevice, models: Sequence[bytes], *rest: Any, real: Any = real, name: str = name) -> Any:
            asked.append((name, len(models)))
            found = real(place, models, *rest)
            by_size = [len(model) / 1000 for model in models]
            return by_size if isinstance(found, list) else np.broadcast_to(by_size, found.shape)

        monkeypatch.setattr(SshDevice, name, counted)
    return asked


def test_ranks_by_latency_ask_the_device(device: Server, tmp_path: Path, asked: list[tuple[str, int]]) -> None:
    overrides = [
        *("low_rank.enabled=true", "low_rank.goal=latency", "low_rank.amount=0.05", "quantization.enabled=false"),
        *("order=['low_rank']", "export.simplify=false", "cpu.runs=10", "training.epochs=0", "low_rank.multiple=1"),
        *(f"device.url={device.url}", f"device.python={sys.executable}"),
    ]
    given: Mapping[str, Any] = {"calibration": vectors(seed=1), "output": tmp_path / "made"}
    bundle = edgecompress.compress(seeded(LinearStack), **given, overrides=overrides)
    assert device.is_clean()
    first, *layers, last = asked  # the network by itself; layers with their options; the network and the smaller one
    assert (first, last) == (("time_networks", 1), ("time_networks", 2))
    assert layers
    assert min(count for _, count in layers) > 1
    assert f"5% less latency on {device.url}" in (bundle.path / "report.json").read_text()


def test_a_latency_goal_asks_the_device(device: Server, tmp_path: Path, asked: list[tuple[str, int]]) -> None:
    given: Mapping[str, Any] = {"calibration": images(seed=1), "output": tmp_path / "made"}
    overrides = [
        *(
            "pruning.enabled=true",
            "pruning.goal=latency",
            "pruning.amount=0.05",
            "pruning.multiple=1",
            "quantization.enabled=false",
        ),
        *("order=['pruning']", "export.simplify=false", "cpu.runs=10", "training.epochs=0"),
        *(f"device.url={device.url}", f"device.python={sys.executable}"),
    ]
    bundle = edgecompress.compress(seeded(ConvNet), **given, overrides=overrides)
    assert device.is_clean()
    assert {name for name, _ in asked} == {"time_operators", "time_networks"}
    assert f"5% less latency on {device.url}" in (bundle.path / "report.json").read_text()
