"""Reasons not to ship what the figures of the whole let pass; most are planted in test_evidence.py."""

from __future__ import annotations

import numpy as np
import pytest

from edgecompress.data.batches import Batches, InputNames
from edgecompress.metrics.metric import named_measure
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Cpu
from edgecompress.runtime import to_bytes
from edgecompress.step import Stage
from edgecompress.validation import Evidence, gather
from tests.exporters.graphs import graph

CLASSES, SAMPLES = 40, 10
HALVED = np.ones(256, np.float32)
HALVED[CLASSES - 1] = 0.5
FLOAT = to_bytes(
    graph("i = Identity(x) j = Identity(i) k = Identity(j) l = Identity(k) m = Identity(l) y = Flatten(m)")
)
ONE_CLASS_HALVED = to_bytes(graph("f = Flatten(x) y = Mul(f, k)", k=HALVED))


def _evidence(name: str, close: int) -> Evidence:
    """Forty classes of ten samples each, all right; the last one's score is halved in the artifact.

    Its first ``close`` samples then are answered with class 0, whose score is 0.6.
    """
    labels = np.repeat(np.arange(CLASSES), SAMPLES)
    x = np.eye(256, dtype=np.float32)[labels]
    x[(CLASSES - 1) * SAMPLES : (CLASSES - 1) * SAMPLES + close, 0] = 0.6
    raw = [(x.reshape(-1, 4, 8, 8), labels)]
    inputs, measure = InputNames(names=("x",), required=1), named_measure(name)
    batches = Batches(role="evaluation", source=lambda: raw, inputs=inputs, measure=measure, class_axis=1)
    stages = [Stage(name="original", content=FLOAT), Stage(name="quantize", content=ONE_CLASS_HALVED)]
    return gather(stages, batches, Cpu(runs=10), Progress())


def test_twenty_points_of_a_class_under_half_a_point_of_all_are_told() -> None:
    evidence = _evidence("top1", 2)
    assert evidence.metric_drop == pytest.approx(0.5)
    assert evidence.classes[0].name == str(CLASSES - 1)
    assert evidence.classes[0].drop == pytest.approx(20.0)
    assert [change.drop for change in evidence.classes[1:]] == [0.0] * (CLASSES - 1)
    told = [doubt for doubt in evidence.doubts if "class '39'" in doubt]
    assert told == [
        "class '39' went from 100.00 % to 80.00 %, while accuracy changed by -0.50 points; look at its samples before"
        " this ships"
    ]


def test_what_is_small_is_not_told_and_a_metric_of_its_own_name_is() -> None:
    assert not any("class '39'" in doubt for doubt in _evidence("top1", 0).doubts)
    # Of a class that is answered 8 times of 10 the harmonic mean is 2 * 8 / (8 + 10).
    doubt = next(doubt for doubt in _evidence("f1", 2).doubts if "class '39'" in doubt)
    assert f"from 100.00 % to {100 * 16 / 18:.2f} %, while 'f1' changed by" in doubt
