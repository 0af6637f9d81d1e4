"""The metric of the samples that are run at another place: there, here, and of the float model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecompress.data.batches import Batch
from edgecompress.metrics.metric import named_measure
from edgecompress.runtime import to_bytes
from edgecompress.validation.elsewhere.judged import Scoring, judged
from tests.exporters.graphs import graph

FLOATS = to_bytes(graph("p = GlobalAveragePool(x) y = Flatten(p)"))


def _batch(classes: list[int]) -> Batch:
    """Images whose channels' means are highest at the given classes, labelled with 0, 1, 2, and so on."""
    x = np.zeros((len(classes), 4, 8, 8), np.float32)
    x[np.arange(len(classes)), classes] = 1.0
    return Batch(inputs={"x": x}, labels=np.arange(len(classes)) % 4, class_axis=1)


def _scores(*classes: int) -> dict[str, np.ndarray]:
    return {"y": np.eye(4, dtype=np.float32)[list(classes)]}


BATCHES = [_batch([0, 1, 2, 0]), _batch([0, 1])]


@pytest.mark.parametrize("as_file", [False, True])
def test_the_metric_is_that_of_all_samples_three_times(as_file: bool, tmp_path: Path) -> None:
    floats: bytes | Path = FLOATS
    if as_file:
        (tmp_path / "float.onnx").write_bytes(FLOATS)
        floats = tmp_path / "float.onnx"
    here, there = [_scores(0, 1, 2, 3), _scores(0, 1)], [_scores(0, 1, 0, 0), _scores(1, 1)]
    found = judged(Scoring(measure=named_measure("top1"), floats=floats), BATCHES, here, there)
    assert found is not None
    assert (found.name, found.unit) == ("top1", "%")
    assert found.here == 100.0
    assert found.there == pytest.approx(100 * 3 / 6)
    assert found.original == pytest.approx(100 * 5 / 6)
    assert found.entry == vars(found)


def test_without_a_float_model_two_are_known() -> None:
    outputs = [_scores(0, 1, 2, 3), _scores(0, 1)]
    found = judged(Scoring(measure=named_measure("top1")), BATCHES, outputs, outputs)
    assert found is not None
    assert (found.here, found.there, found.original) == (100.0, 100.0, None)


@pytest.mark.parametrize(
    ("scoring", "batches"),
    [
        (None, BATCHES),
        (Scoring(measure=named_measure("top1")), []),
        (Scoring(measure=named_measure("top1")), [BATCHES[0], replace(BATCHES[1], labels=None)]),
    ],
)
def test_without_labels_nothing_is_measured(scoring: Scoring | None, batches: list[Batch]) -> None:
    outputs = [_scores(*range(batch.rows)) for batch in batches]
    assert judged(scoring, batches, outputs, outputs) is None
