"""A run that was killed goes on from its file, which no other model and no other data can use."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.arrays import Array
from edgecompress.calibration import Calibration, Sharing, collect
from edgecompress.calibration.statistics_file import load
from edgecompress.data.batches import Batches, InputNames
from edgecompress.errors import DataError
from edgecompress.progress import Progress
from tests.exporters.graphs import draw, graph

MODEL = graph("a = Conv(x, w) y = Relu(a)", w=draw(4, 4, 3, 3))
DATA = [draw(3, 4, 8, 8, seed=seed) for seed in range(5)]
TENSORS = ["x", "a", "y"]


class KilledError(Exception):
    """What ends a run from outside."""


@pytest.fixture(autouse=True)
def _save_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("edgecompress.calibration.checkpoint"), "SAVE_EVERY_SECONDS", 0.0)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of every run of the network."""
    rows: list[int] = []
    module = import_module("edgecompress.calibration.collect")
    original = module.run_session

    def counted(session: Any, inputs: dict[str, Array]) -> list[Array]:
        rows.append(len(inputs["x"]))
        outputs: list[Array] = original(session, inputs)
        return outputs

    monkeypatch.setattr(module, "run_session", counted)
    return rows


def _collect(file: Path | None, data: list[Array] = DATA, model: ir.Model = MODEL, stop: int = 99) -> Calibration:
    """Over ``data``, killed at the batch ``stop``, counted through both passes."""
    reads = iter(range(100))

    def source() -> Iterator[Array]:
        for batch in data:
            if next(reads) == stop:
                raise KilledError
            yield batch

    batches = Batches(role="calibration", source=source, inputs=InputNames(names=("x",), required=1))
    return collect(model, TENSORS, batches, Progress(), Sharing(file=file))


def _same(first: Calibration, other: Calibration) -> bool:
    counts = [(first.histograms[name].counts == other.histograms[name].counts).all() for name in TENSORS]
    return first.survey == other.survey and first.digest == other.digest and all(counts)


@pytest.mark.parametrize("stop", range(11))
def test_a_killed_run_goes_on_where_it_was(stop: int, tmp_path: Path, runs: list[int]) -> None:
    file = tmp_path / "statistics.npz"
    if stop < 10:
        with pytest.raises(KilledError):
            _collect(file, stop=stop)
    resumed = _collect(file)
    assert sum(runs) == 2 * sum(map(len, DATA))  # each sample twice in both runs together: none was lost or repeated
    assert _same(resumed, _collect(None))
    assert _same(load(file), resumed)


def test_a_whole_file_runs_the_network_no_more(tmp_path: Path, runs: list[int]) -> None:
    first = _collect(tmp_path / "statistics.npz")
    runs.clear()
    assert _same(_collect(tmp_path / "statistics.npz"), first)
    assert runs == []


CHANGED = [*DATA[:2], DATA[2] + 1, *DATA[3:]]


@pytest.mark.parametrize("stop", [4, 8, 99])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (CHANGED, "batch 2 is not the one that was counted"),
        (DATA[:1], "there is no batch 1, which was counted"),
        ([DATA[0][:2], *DATA[1:]], "batch 0 is not the one that was counted"),
    ],
)
def test_other_data_are_refused(stop: int, data: list[Array], words: str, tmp_path: Path) -> None:
    file = tmp_path / "statistics.npz"
    if stop < 99:
        with pytest.raises(KilledError):
            _collect(file, stop=stop)
    else:
        _collect(file)
    with pytest.raises(
        DataError,
        match=f"^statistics '.*' belong to other calibration data: {words};"
        " delete the file, or choose another --statistics FILE$",
    ):
        _collect(file, data)


def test_more_data_than_were_counted_are_refused(tmp_path: Path) -> None:
    _collect(tmp_path / "statistics.npz", DATA[:4])
    with pytest.raises(DataError, match="there is a batch 4 beyond those that were counted"):
        _collect(tmp_path / "statistics.npz")


def test_another_model_is_refused(tmp_path: Path) -> None:
    _collect(tmp_path / "statistics.npz")
    other = graph("a = Conv(x, w) y = Relu(a)", w=draw(4, 4, 3, 3) * np.float32(1.5))
    with pytest.raises(
        DataError,
        match=r"^statistics '.*' belong to another model or other tensors;"
        r" delete the file, or choose another --statistics FILE$",
    ):
        _collect(tmp_path / "statistics.npz", model=other)
