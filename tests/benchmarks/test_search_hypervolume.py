"""The search and random search are run in one space, and what they find is told by the volume that it beats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import nn

from edgecompress.comparison.making import Material
from edgecompress.comparison.search.space import make_space
from edgecompress.comparison.search.time_budget import TimedProgress
from edgecompress.comparison.search.trial import TRIALS, Measures
from edgecompress.comparison.search.worker import Worker
from edgecompress.progress import Progress
from edgecompress.runtime import to_bytes
from edgecompress.targets import TargetProfile, load_profile
from tests.comparison.search.measures import measures
from tests.exporters.graphs import draw, graph

pytest.importorskip("optuna")

from benchmarks.search_hypervolume import (
    DROP,
    RUNS,
    WAYS,
    Recorder,
    growth,
    hypervolume,
    recorded_in,
    row_of,
    undisturbed_speedup,
)

ROLES = ("calibration", "evaluation")
SPEEDUP = 3.0


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """A worker whose trials take no time: what is measured follows from the recipe."""

    def measured(_: Worker, profile: TargetProfile, __: str) -> Measures | str:
        if profile.recipe.quantization.observer == "entropy":
            return "no histogram"
        return measures(drop=20 * profile.recipe.pruning.amount, speedup=0.1)

    monkeypatch.setattr(Worker, "measured", measured)
    (tmp_path / TRIALS).mkdir()
    return Recorder(
        material=Material(network=nn.Identity(), data={}),
        parts={},
        space=make_space(load_profile("edge"), ROLES),
        folder=tmp_path,
        progress=TimedProgress(Progress(), None),
        tell=lambda _: None,
        file=tmp_path / "measured.jsonl",
        speedup_of=lambda _: SPEEDUP,
    )


@pytest.mark.parametrize("way", WAYS)
def test_trials_are_of_different_recipes_the_targets_own_first_and_what_they_measured_is_written(
    way: str, recorder: Recorder
) -> None:
    found = WAYS[way](recorder, 12)
    assert found[0] is not None
    assert found[0].metric_drop == 20 * recorder.space.profile.recipe.pruning.amount
    assert {each.speedup for each in found if each is not None} == {SPEEDUP}
    assert len(found) == len(recorder.measures) == 12
    assert recorded_in(recorder.file) == recorder.measures
    assert [*recorder.measures.values()] == ["no histogram" if each is None else each for each in found]


@pytest.mark.parametrize("way", WAYS)
def test_a_seed_draws_the_same_again_and_another_seed_does_not(way: str, recorder: Recorder, tmp_path: Path) -> None:
    first = WAYS[way](recorder, 14)
    assert WAYS[way](recorder, 14) == first
    assert len(recorder.measures) == 14
    WAYS[way](replace(recorder, drawn_by=1), 14)
    assert len(recorder.measures) > 14
    assert len(recorded_in(tmp_path / "measured.jsonl")) == len(recorder.measures)


def test_what_was_measured_is_not_measured_again(recorder: Recorder) -> None:
    for name in ("first", "first"):
        recorder.measured(recorder.space.profile, name)
    lines = recorder.file.read_text().splitlines()
    assert len(lines) == 1
    known = replace(recorder, measures=recorded_in(recorder.file))
    known.measured(known.space.profile, "first")
    assert recorder.file.read_text().splitlines() == lines


def test_a_speedup_is_that_of_the_fastest_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interleave(calls: Sequence[Callable[[], object]], runs: int) -> NDArray[np.float64]:
        assert runs == RUNS
        for call in calls:
            call()
        return np.array([[6.0, 9.0], [90.0, 2.0], [7.0, 80.0]])

    monkeypatch.setattr("benchmarks.search_hypervolume.interleave", interleave)
    artifact = tmp_path / "model.onnx"
    artifact.write_bytes(to_bytes(graph("y = Relu(x)")))
    original = to_bytes(graph("y = Sigmoid(x)"))
    assert undisturbed_speedup(original, {"x": draw(1, 4, 8, 8)}, artifact) == 3


def test_the_volume_is_the_share_of_points_that_are_beaten() -> None:
    generator = np.random.default_rng(0)
    points = generator.uniform(-0.2, 1.2, (12, 3))
    thrown = generator.random((200_000, 3))
    beaten = (points[:, None] <= thrown).all(-1).any(0).mean()
    assert hypervolume(points) == pytest.approx(beaten, abs=0.005)
    assert hypervolume(np.array([[-3.0, 0.0, 0.0]])) == 1
    assert hypervolume(np.ones((2, 3))) == 0


def test_the_volume_grows_with_trials_that_are_not_beaten_and_with_no_others() -> None:
    good, beaten, small = measures(drop=DROP / 4), measures(drop=DROP / 2), measures(drop=DROP / 2, size_bytes=500)
    assert growth([good, beaten, None, small]) == pytest.approx(
        [0.75 * 0.5 * 0.75, 0.75 * 0.5 * 0.75, 0.75 * 0.5 * 0.75, 0.75 * 0.5 * 0.75 + 0.5 * 0.5 * 0.125]
    )
    assert growth([None, measures(drop=2 * DROP)]) == [0, 0]


def test_a_row_has_the_mean_and_the_spread_over_the_seeds() -> None:
    grown = [[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]]
    assert row_of("search", grown, (1, 3)) == ["search", "20.00 ± 14.14 %", "40.00 ± 14.14 %"]
    assert row_of("random", grown[:1], (2,)) == ["random", "20.00 ± 0.00 %"]
