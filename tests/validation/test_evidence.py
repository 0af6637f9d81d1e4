"""Evidence is measured on the files themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgecompress.data.batches import Batches, InputNames
from edgecompress.errors import DataError
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Cpu
from edgecompress.runtime import to_bytes
from edgecompress.step import Stage
from edgecompress.timing.latency import compare_times
from edgecompress.validation import gather
from tests.exporters.graphs import draw, graph

# Scores of four classes for each sample: the mean of each channel, and the same with a tenth more.
SAME = (
    "p = GlobalAveragePool(x) i = Identity(p) j = Identity(i) k = Identity(j) y = Flatten(k)"  # larger than the others
)
FLOAT = to_bytes(graph(SAME))
LOUDER = to_bytes(graph("p = GlobalAveragePool(x) f = Flatten(p) y = Mul(f, k)", k=np.array(1.1, np.float32)))
MIRRORED = to_bytes(graph("p = GlobalAveragePool(x) f = Flatten(p) y = Neg(f)"))
X = draw(50, 4, 8, 8)
BEST = X.mean((2, 3)).argmax(1)


def _batches(labels: list[torch.Tensor | None]) -> Batches:
    raw = [(torch.from_numpy(X[25 * i : 25 * i + 25]), label) for i, label in enumerate(labels)]
    return Batches(role="evaluation", source=lambda: raw, inputs=InputNames(names=("x",), required=1))


def _stages(*contents: bytes) -> list[Stage]:
    return [Stage(name=str(place), content=content) for place, content in enumerate(contents)]


RIGHT = [torch.from_numpy(BEST[:25]), torch.from_numpy(BEST[25:])]


def test_measures_have_their_closed_forms() -> None:
    evidence = gather(_stages(FLOAT, LOUDER), _batches([*RIGHT]), Cpu(runs=10), Progress())
    assert evidence.parity.sqnr_db == pytest.approx(20.0, abs=1e-3)
    assert (evidence.original_accuracy, evidence.compressed_accuracy, evidence.accuracy_drop) == (100, 100, 0)
    assert evidence.compression_ratio == len(FLOAT) / len(LOUDER)
    assert evidence.evaluated_samples == 50
    assert evidence.doubts == ()


def test_an_artifact_that_says_the_opposite_is_doubted() -> None:
    evidence = gather(_stages(FLOAT, MIRRORED), _batches([*RIGHT]), Cpu(runs=10), Progress())
    assert evidence.accuracy_drop == 100
    assert evidence.parity.top1_agreement == 0
    (doubt,) = evidence.doubts
    assert doubt.endswith(
        "agree with the float model's to -6.0 dB only; check that the calibration data is like the evaluation data"
    )
    (doubt,) = gather(_stages(FLOAT, MIRRORED, MIRRORED), _batches([*RIGHT]), Cpu(runs=10), Progress()).doubts
    (again,) = gather(_stages(FLOAT, MIRRORED, FLOAT, MIRRORED), _batches([*RIGHT]), Cpu(runs=10), Progress()).doubts
    assert again.endswith("check that the calibration data is like the evaluation data")  # what was lost came back
    assert doubt.endswith("that was lost in '1', before anything became integer; ask for less of it, or train longer")


def test_an_artifact_that_is_larger_is_doubted() -> None:
    (doubt,) = gather(_stages(LOUDER, FLOAT), _batches([*RIGHT]), Cpu(runs=10), Progress()).doubts
    assert doubt.startswith(f"the artifact is larger than the original, {len(FLOAT) / len(LOUDER):.2f} times")


@pytest.mark.parametrize(("factor", "doubted"), [(0.69, False), (0.67, True)])
def test_outputs_less_alike_than_ten_decibels_are_doubted(factor: float, doubted: bool) -> None:
    # An error of a share e of the signal is -20 log10(e): 10 dB at 0.316.
    scaled = to_bytes(graph("p = GlobalAveragePool(x) f = Flatten(p) y = Mul(f, k)", k=np.array(factor, np.float32)))
    doubts = gather(_stages(FLOAT, scaled), _batches([None, None]), Cpu(runs=10), Progress()).doubts
    assert any("dB only" in doubt for doubt in doubts) is doubted


def test_accuracy_that_guessing_could_reach_is_doubted() -> None:
    shifted = [(labels + 2) % 4 for labels in RIGHT]
    evidence = gather(_stages(FLOAT, FLOAT), _batches([*shifted]), Cpu(runs=10), Progress())
    assert "right on 0.00 % of the evaluation data" in evidence.doubts[0]


def test_latencies_of_a_busy_machine_are_doubted() -> None:
    evidence = gather(_stages(FLOAT, LOUDER), _batches([*RIGHT]), Cpu(runs=10), Progress())
    first, last = evidence.stages
    latency = compare_times(np.full(40, 2.0), np.full(40, 1.0), threads=1)
    quiet = replace(evidence, stages=(first, replace(last, times_ms=(1.0,) * 40)), latency=latency)
    assert quiet.noise == ()
    busy = replace(quiet, stages=(first, replace(last, times_ms=(1.0, 1.0, 1.0, 9.0) * 10)))
    assert "interrupted: p95 is 9.0 times the median; p95 and p99 tell of the neighbours" in busy.noise


def test_labels_for_some_batches_only_are_refused() -> None:
    with pytest.raises(DataError, match="only 25 of 50 evaluation samples have labels; give all or none"):
        gather(_stages(FLOAT, FLOAT), _batches([RIGHT[0], None]), Cpu(runs=10), Progress())


def test_evaluation_data_without_labels_is_told() -> None:
    evidence = gather(_stages(FLOAT, FLOAT), _batches([None, None]), Cpu(runs=10), Progress())
    assert evidence.accuracy_drop is None
    assert evidence.doubts == ("the evaluation data has no labels; accuracy is not measured",)
