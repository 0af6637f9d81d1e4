"""Evidence is measured on the files themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from edgecompress.data.batches import ANY, Batches, InputNames
from edgecompress.errors import DataError
from edgecompress.loading.own_metric import own_measure
from edgecompress.metrics.metric import named_measure
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Cpu
from edgecompress.runtime import to_bytes
from edgecompress.step import Stage
from edgecompress.timing.latency import compare_times
from edgecompress.validation import gather, measures
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
CPU = Cpu(runs=10)


def _batches(labels: list[torch.Tensor | None]) -> Batches:
    raw = [(torch.from_numpy(X[25 * i : 25 * i + 25]), label) for i, label in enumerate(labels)]
    return Batches(role="evaluation", source=lambda: raw, inputs=InputNames(names=("x",), required=1))


def _stages(*contents: bytes) -> list[Stage]:
    return [Stage(name=str(place), content=content) for place, content in enumerate(contents)]


RIGHT = [torch.from_numpy(BEST[:25]), torch.from_numpy(BEST[25:])]


def test_measures_have_their_closed_forms() -> None:
    evidence = gather(_stages(FLOAT, LOUDER), _batches([*RIGHT]), CPU, Progress())
    assert evidence.parity.sqnr_db == pytest.approx(20.0, abs=1e-3)
    assert (evidence.original_metric, evidence.compressed_metric, evidence.metric_drop) == (100, 100, 0)
    assert evidence.compression_ratio == len(FLOAT) / len(LOUDER)
    assert evidence.evaluated_samples == 50
    assert evidence.doubts == ()


def test_an_artifact_that_says_the_opposite_is_doubted() -> None:
    evidence = gather(_stages(FLOAT, MIRRORED), _batches([*RIGHT]), CPU, Progress())
    assert evidence.metric_drop == 100
    assert evidence.parity.top1_agreement == 0
    (doubt,) = evidence.doubts
    assert doubt.endswith(
        "agree with the float model's to -6.0 dB only; check that the calibration data is like the evaluation data"
    )
    (doubt,) = gather(_stages(FLOAT, MIRRORED, MIRRORED), _batches([*RIGHT]), CPU, Progress()).doubts
    (again,) = gather(_stages(FLOAT, MIRRORED, FLOAT, MIRRORED), _batches([*RIGHT]), CPU, Progress()).doubts
    assert again.endswith("check that the calibration data is like the evaluation data")  # what was lost came back
    assert doubt.endswith("that was lost in '1', before anything became integer; ask for less of it, or train longer")


def test_an_artifact_that_is_larger_is_doubted() -> None:
    (doubt,) = gather(_stages(LOUDER, FLOAT), _batches([*RIGHT]), CPU, Progress()).doubts
    assert doubt.startswith(f"the artifact is larger than the original, {len(FLOAT) / len(LOUDER):.2f} times")


@pytest.mark.parametrize(("factor", "doubted"), [(0.69, False), (0.67, True)])
def test_outputs_less_alike_than_ten_decibels_are_doubted(factor: float, doubted: bool) -> None:
    # An error of a share e of the signal is -20 log10(e): 10 dB at 0.316.
    scaled = to_bytes(graph("p = GlobalAveragePool(x) f = Flatten(p) y = Mul(f, k)", k=np.array(factor, np.float32)))
    doubts = gather(_stages(FLOAT, scaled), _batches([None, None]), CPU, Progress()).doubts
    assert any("dB only" in doubt for doubt in doubts) is doubted


def test_accuracy_that_guessing_could_reach_is_doubted() -> None:
    shifted = [(labels + 2) % 4 for labels in RIGHT]
    evidence = gather(_stages(FLOAT, FLOAT), _batches([*shifted]), CPU, Progress())
    assert "right on 0.00 % of the evaluation data" in evidence.doubts[0]


def test_latencies_of_a_busy_machine_are_doubted() -> None:
    evidence = gather(_stages(FLOAT, LOUDER), _batches([*RIGHT]), CPU, Progress())
    first, last = evidence.stages
    latency = compare_times(np.full(40, 2.0), np.full(40, 1.0), threads=1)
    first = replace(first, times_ms=(2.0,) * 40)
    quiet = replace(evidence, stages=(first, replace(last, times_ms=(1.0,) * 40)), latency=latency)
    assert quiet.noise == ()
    busy = replace(quiet, stages=(first, replace(last, times_ms=(1.0, 1.0, 1.0, 9.0) * 10)))
    assert "p95 is 9.0 times the median; other programs disturbed p95 and p99" in busy.noise


def test_labels_for_some_batches_only_are_refused() -> None:
    with pytest.raises(
        DataError, match="of 50 evaluation samples, only 25 have labels, and batch 1 has none; give all or none"
    ):
        gather(_stages(FLOAT, FLOAT), _batches([RIGHT[0], None]), CPU, Progress())


def test_evaluation_data_without_labels_is_told() -> None:
    evidence = gather(_stages(FLOAT, FLOAT), _batches([None, None]), CPU, Progress())
    assert evidence.metric_drop is None
    assert evidence.doubts == ("the evaluation data has no labels; accuracy is not measured",)


def _measured(name: str, *targets: np.ndarray) -> Batches:
    raw = [(X[25 * i : 25 * i + 25], target) for i, target in enumerate(targets)]
    inputs, measure = InputNames(names=("x",), required=1), named_measure(name)
    return Batches(role="evaluation", source=lambda: raw, inputs=inputs, measure=measure, label_kinds=ANY)


MEANS = X.mean((2, 3))


def test_a_metric_of_numbers_is_measured_in_its_unit_and_asks_nothing_of_classes() -> None:
    """Targets are half of the float model's outputs; the artifact adds a tenth."""
    evidence = gather(_stages(FLOAT, LOUDER), _measured("mae", MEANS[:25] / 2, MEANS[25:] / 2), CPU, Progress())
    size = float(abs(MEANS).mean())
    assert evidence.original_metric == pytest.approx(0.5 * size, rel=1e-5)
    assert evidence.compressed_metric == pytest.approx(0.6 * size, rel=1e-5)
    assert evidence.metric_drop == pytest.approx(0.1 * size, rel=1e-4)
    assert [stage.metric for stage in evidence.stages] == [evidence.original_metric, evidence.compressed_metric]
    assert (evidence.accuracy_drop, evidence.flips.samples, evidence.parity.top1_agreement) == (None, 0, None)
    assert evidence.doubts == ()
    found = measures(evidence)
    assert found["metric_kept"] == pytest.approx(5 / 6, rel=1e-4)
    assert "accuracy_drop" not in found


class Means:
    """The mean absolute error of an output by its name."""

    def __init__(self) -> None:
        self.reset()

    def update(self, outputs: Any, targets: Any) -> None:
        self.errors.append(abs(outputs["second"] - targets))

    def compute(self) -> float:
        return float(np.concatenate(self.errors).mean())

    def reset(self) -> None:
        self.errors: list[Any] = []


def test_outputs_have_the_names_of_the_file() -> None:
    two = graph("p = GlobalAveragePool(x) y = Flatten(p) second = Neg(y)")
    two.graph.outputs.append(next(node.outputs[0] for node in two.graph if node.op_type == "Neg"))
    data = replace(_measured("mae", MEANS[:25], MEANS[25:]), measure=own_measure(Means, "mine"))
    evidence = gather(_stages(to_bytes(two), to_bytes(two)), data, CPU, Progress())
    assert evidence.original_metric == pytest.approx(2 * float(abs(MEANS).mean()), rel=1e-5)


def test_integers_are_targets_of_numbers() -> None:
    """Class indices that are shifted, and as many as there are rows, are no labels of classes here."""
    targets = np.round(MEANS * 100).astype(np.int16)
    evidence = gather(_stages(FLOAT, FLOAT), _measured("rmse", targets[:25], targets[25:]), CPU, Progress())
    assert evidence.original_metric == pytest.approx(float(np.sqrt(((MEANS - targets) ** 2).mean())), rel=1e-5)


def test_labels_that_are_shifted_are_shifted_for_every_metric_of_classes() -> None:
    with pytest.raises(DataError, match="the labels of the evaluation data are shifted by one"):
        gather(_stages(FLOAT, FLOAT), _measured("top5", (BEST[:25] + 1) % 4, (BEST[25:] + 1) % 4), CPU, Progress())


def test_other_outputs_that_serve_as_well_are_no_doubt() -> None:
    """The artifact answers the negative, and so do the targets: it is better than the float model, if unlike it."""
    better = gather(_stages(FLOAT, MIRRORED), _measured("mae", -MEANS[:25], -MEANS[25:]), CPU, Progress())
    assert better.doubts == ()
    worse = gather(_stages(FLOAT, MIRRORED), _measured("mae", MEANS[:25], MEANS[25:]), CPU, Progress())
    assert ["dB only" in doubt for doubt in worse.doubts] == [True]


def test_a_metric_without_targets_is_told_by_its_name() -> None:
    data = replace(_measured("mae", MEANS[:25], MEANS[25:]), use_labels=False)
    evidence = gather(_stages(FLOAT, FLOAT), data, CPU, Progress())
    assert evidence.doubts == ("the evaluation data has no labels; 'mae' is not measured",)


def test_answers_that_changed_are_not_looked_for_among_targets_that_are_no_classes() -> None:
    raw = [(torch.from_numpy(X[25 * i : 25 * i + 25]), ["a"] * 25) for i in range(2)]
    batches = Batches(
        role="evaluation",
        source=lambda: raw,
        inputs=InputNames(names=("x",), required=1),
        label_kinds=ANY,
        measure=own_measure(lambda outputs, targets: float(len(targets)), "mine"),
        class_axis=1,
    )
    evidence = gather(_stages(FLOAT, MIRRORED), batches, CPU, Progress())
    assert (evidence.original_metric, evidence.flips.samples) == (25.0, 0)
    assert evidence.parity.top1_agreement == 0
