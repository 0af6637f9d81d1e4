"""A metric of samples drawn anew is that of a network which was given these samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from edgecompress.errors import RecipeError
from edgecompress.loading.own_metric import own_measure
from edgecompress.metrics.built_in.auroc import AreaUnderCurve
from edgecompress.metrics.metric import Measure, named_measure
from edgecompress.metrics.running import Running
from edgecompress.metrics.sums import GROUPS, Drawable, GroupSums, Redrawn, groups_of
from edgecompress.metrics.targets import cut
from edgecompress.registry import METRICS, built_in

CLASSES = 7
seeds, rows = st.integers(0, 10**6), st.integers(2, 30)
Array = np.ndarray[Any, Any]


def _text(generator: np.random.Generator) -> str:
    return " ".join(generator.choice(["a", "b", "ab"], generator.integers(0, 4)))


def _cases(name: str, generator: np.random.Generator, count: int) -> tuple[Any, Any]:
    """Outputs and targets that a metric reads."""
    if name in ("wer", "cer"):
        return [_text(generator) for _ in range(count)], [_text(generator) for _ in range(count)]
    if name in ("miou", "dice"):
        masks = generator.integers(0, CLASSES, (count, 3, 2))
        return generator.normal(size=(count, CLASSES, 3, 2)), np.where(generator.random(masks.shape) < 0.2, -100, masks)
    if name in ("mae", "rmse", "cosine", "psnr"):
        return generator.random((count, 3)), generator.random((count, 3))
    labels = generator.integers(-1, CLASSES, count)
    labels[0] = 0  # that counts, at least
    return generator.normal(size=(count, CLASSES)), np.where(labels < 0, -100, labels)


def _running(measure: Measure, outputs: Any, targets: Any) -> Running:
    running = Running(measure)
    running.update([outputs], targets, "batch", 1)
    return running


def _drawable(running: Running) -> Drawable:
    drawable = running.drawable
    assert drawable is not None
    return drawable


@given(seeds, rows)
@pytest.mark.parametrize("name", ["top1", "top5", "f1", "miou", "dice", "mae", "rmse", "cosine", "psnr", "wer", "cer"])
def test_it_is_that_of_the_samples_that_were_drawn(name: str, seed: int, rows: int) -> None:
    generator = np.random.default_rng(seed)
    outputs, targets = _cases(name, generator, rows)
    drawable = _drawable(_running(named_measure(name), outputs, targets))
    drawn = np.concatenate([np.ones((1, rows), np.int64), generator.multinomial(rows, np.full(rows, 1 / rows), 3)])
    for counts, value in zip(drawn, drawable.values(drawn), strict=True):
        chosen = np.repeat(np.arange(rows), counts)
        alone = _running(named_measure(name), cut(outputs, chosen), cut(targets, chosen))
        try:
            wanted = alone.value
        except RecipeError:  # no word in any of the targets
            wanted = None
        assert value == pytest.approx(np.nan if wanted is None else wanted, nan_ok=True)


@given(seeds, rows)
def test_a_function_of_a_batch_is_drawn_by_batches(seed: int, rows: int) -> None:
    generator = np.random.default_rng(seed)
    parts = [generator.random((int(size), 3)) for size in generator.integers(1, 5, rows)]
    running = Running(own_measure(lambda outputs, targets: float(np.max(outputs + targets)), "peak"))
    for part in parts:
        running.update([part], part, "batch")
    drawn = generator.multinomial(rows, np.full(rows, 1 / rows), 3)
    peaks, sizes = (np.array([f(part) for part in parts]) for f in (lambda part: 2 * part.max(), len))
    wanted = (drawn * sizes * peaks).sum(1) / (drawn * sizes).sum(1)
    assert _drawable(running).values(drawn) == pytest.approx(wanted)


def _areas(scores: Array, labels: Array) -> AreaUnderCurve:
    metric = AreaUnderCurve()
    metric.update(scores, labels)
    return metric


def test_the_spread_of_an_area_is_delong_s() -> None:
    """DeLong et al. 1988: from the share of negatives below each positive, and of positives above each negative."""
    generator = np.random.default_rng(3)
    scores, positive = np.round(generator.normal(size=400), 1), generator.random(400) < 0.3
    scores[positive] += 1.0
    pairs = scores[positive][:, None] - scores[~positive]
    wins = (pairs > 0) + 0.5 * (pairs == 0)
    wanted = np.sqrt(wins.mean(1).var() / positive.sum() + wins.mean(0).var() / (~positive).sum())
    metric = _areas(scores, positive.astype(int))
    drawable = metric.drawable()
    assert drawable is not None
    drawn = generator.multinomial(400, np.full(400, 1 / 400), 4000)
    assert metric.compute() == pytest.approx(100 * wins.mean())
    assert drawable.values(drawn).std() == pytest.approx(100 * wanted, rel=0.05)
    assert drawable.values(drawn).mean() == pytest.approx(metric.compute(), abs=0.2)


@pytest.mark.parametrize("classes", [2, 3])
def test_an_area_that_is_drawn_is_nearly_that_of_the_samples(classes: int) -> None:
    """It is linear in the samples that are drawn, which is right up to the square of what chance moves."""
    count, generator = 300, np.random.default_rng(1)
    labels = generator.integers(0, classes, count)
    scores = softmax(np.eye(classes)[labels] + generator.normal(size=(count, classes)), axis=1)
    metric = _areas(scores, labels)
    drawable = metric.drawable()
    assert drawable is not None
    assert drawable.values(np.ones((1, count), np.int64)) == pytest.approx([metric.compute()])
    drawn = np.random.default_rng(2).multinomial(count, np.full(count, 1 / count), 20)
    chosen = [np.repeat(np.arange(count), counts) for counts in drawn]
    again = [_areas(scores[rows], labels[rows]).compute() for rows in chosen]
    assert drawable.values(drawn) == pytest.approx(again, abs=0.5)
    assert np.std(again) > 1.0


@given(st.lists(st.integers(1, 700), min_size=1, max_size=4))
def test_groups_of_many_samples_are_of_one_size_and_hold_all(cuts: list[int]) -> None:
    sums, count = GroupSums(), sum(cuts)
    parts = np.column_stack([np.ones(count), np.arange(count)])
    for stop, size in zip(np.cumsum(cuts), cuts, strict=True):
        sums.add(parts[stop - size : stop])
    assert sums.totals.tolist() == parts.sum(0).tolist()
    assert len(sums.groups) == min(count, GROUPS)
    assert np.ptp(sums.groups[:, 0]) <= 1
    assert np.bincount(groups_of(count), weights=parts[:, 1]).tolist() == sums.groups[:, 1].tolist()


def test_groups_are_filled_by_chance_and_the_same_for_every_network() -> None:
    later = groups_of(3 * GROUPS).reshape(3, GROUPS)
    assert (later[0] == np.arange(GROUPS)).all()
    assert (later[1] != later[2]).mean() > 0.9
    assert (groups_of(3 * GROUPS) == later.ravel()).all()


@pytest.mark.parametrize("name", built_in(METRICS))
def test_every_metric_of_the_package_can_be_drawn(name: str) -> None:
    assert isinstance(named_measure(name).make(), Redrawn)
    assert named_measure(name).make().drawable() is None  # type: ignore[attr-defined]
