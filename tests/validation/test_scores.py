"""Scores of one pass: each model's metric and agreement are of its own outputs, however the data are cut."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.data.batches import ANY, Batches, InputNames
from edgecompress.errors import DataError
from edgecompress.metrics.metric import named_measure
from edgecompress.progress import Progress
from edgecompress.runtime import open_session, to_bytes
from edgecompress.validation.scores import Scores, score
from tests.exporters.graphs import draw, graph

X = draw(12, 4, 8, 8)
MEANS = X.mean((2, 3))
FLOAT = to_bytes(graph("p = GlobalAveragePool(x) y = Flatten(p)"))
HALF = to_bytes(graph("p = GlobalAveragePool(x) f = Flatten(p) y = Mul(f, k)", k=np.array(0.5, np.float32)))
MIRRORED = to_bytes(graph("p = GlobalAveragePool(x) f = Flatten(p) y = Neg(f)"))


def _scores(cuts: list[int], *, labelled: bool = True, in_full: bool = False) -> Scores:
    """Of three models on the twelve samples, cut at some places; every label is the brightest channel."""
    ends = [0, *sorted(cuts), len(X)]
    parts = [slice(start, end) for start, end in pairwise(ends) if start < end]
    best = MEANS.argmax(1)
    raw = [(X[part], best[part] if labelled else None) for part in parts]
    batches = Batches(
        role="evaluation",
        source=lambda: raw,
        inputs=InputNames(names=("x",), required=1),
        measure=named_measure("top1"),
        class_axis=1,
    )
    sessions = [open_session(model, 1) for model in (FLOAT, HALF, MIRRORED)]
    return score(sessions, batches, Progress(), in_full=in_full)


@given(st.lists(st.integers(1, 11), max_size=4, unique=True))
def test_metric_and_agreement_do_not_depend_on_the_cut(cuts: list[int]) -> None:
    found = _scores(cuts)
    # Half of the values are wrong by themselves halved: 20 log10(2); what is mirrored is wrong by twice itself.
    assert found.values == (100.0, 100.0, 0.0)
    assert found.agreements[1].sqnr_db == pytest.approx(20 * np.log10(2), abs=1e-3)
    assert found.agreements[2].sqnr_db == pytest.approx(-20 * np.log10(2), abs=1e-3)
    assert found.samples == len(X)
    assert (found.flips.samples, found.flips.count) == (len(X), len(X))


def test_classes_are_asked_for_only_where_they_are_wanted() -> None:
    assert _scores([]).classes == ()
    drops = [change.drop for change in _scores([], in_full=True).classes]
    assert drops == [100.0] * len({*MEANS.argmax(1)})


def test_without_labels_there_is_no_value_and_the_same_digest_for_the_same_data() -> None:
    found = _scores([5], labelled=False)
    assert found.values == (None, None, None)
    assert found.digest == _scores([5], labelled=False).digest != _scores([5]).digest


def test_labels_of_some_batches_only_are_refused() -> None:
    raw = [(X[:6], MEANS[:6].argmax(1)), (X[6:], None)]
    batches = Batches(role="evaluation", source=lambda: raw, inputs=InputNames(names=("x",), required=1))
    with pytest.raises(DataError, match=r"^of 12 evaluation samples, only 6 have labels, and batch 1 has none"):
        score([open_session(FLOAT, 1)], batches, Progress())


PICTURES = draw(6, 4, 8, 8)
MASKS = to_bytes(graph("y = Identity(x)"))
MIRRORED_MASKS = to_bytes(graph("y = Neg(x)"))
CLASSES = to_bytes(graph("p = GlobalAveragePool(x) y = Flatten(p)"))
MIRRORED_CLASSES = to_bytes(graph("p = GlobalAveragePool(x) f = Flatten(p) y = Neg(f)"))


def _changes_of(name: str, before: bytes, after: bytes, targets: Any, examples: int = 9) -> Scores:
    cuts = (slice(0, 4), slice(4, 6))
    raw = [(PICTURES[cut], targets[cut]) if targets is not None else PICTURES[cut] for cut in cuts]
    inputs, measure = InputNames(names=("x",), required=1), named_measure(name)
    batches = Batches(role="evaluation", source=lambda: raw, inputs=inputs, measure=measure, label_kinds=ANY)
    return score([open_session(file, 1) for file in (before, after)], batches, Progress(), examples)


def test_masks_that_changed_are_kept_with_their_losses() -> None:
    scores = _changes_of("miou", MASKS, MIRRORED_MASKS, PICTURES.argmax(1))
    assert scores.values[0] == 100
    assert (scores.changes.samples, scores.changes.lost, scores.flips.samples) == (6, 6, 0)
    losses = [change.loss or 0.0 for change in scores.changes.examples]
    assert losses == sorted(losses, reverse=True)
    for change in scores.changes.examples:
        assert np.array_equal(change.before.content, PICTURES[change.index].argmax(0))
        assert np.array_equal(change.after.content, PICTURES[change.index].argmin(0))
        assert change.value_before == 100


def test_classes_of_samples_are_flips() -> None:
    scores = _changes_of("top1", CLASSES, MIRRORED_CLASSES, PICTURES.mean((2, 3)).argmax(1))
    assert (scores.flips.lost, scores.changes.samples) == (6, 0)


@pytest.mark.parametrize("targets", [None, PICTURES.mean((2, 3))])
def test_numbers_that_changed_are_kept_with_and_without_targets(targets: Any) -> None:
    scores = _changes_of("mae", CLASSES, MIRRORED_CLASSES, targets)
    assert (scores.changes.samples, len(scores.changes.examples)) == (6, 6)
    assert scores.changes.unvalued == (6 if targets is None else 0)
    assert {change.before.kind for change in scores.changes.examples} == {"numbers"}


def test_nothing_is_kept_where_nothing_is_shown() -> None:
    assert _changes_of("miou", MASKS, MIRRORED_MASKS, PICTURES.argmax(1), 0).changes.samples == 0
