"""Calibration data that cannot tell the ranges of other data are warned about, and others are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgecompress import compress
from edgecompress.arrays import Array
from edgecompress.calibration.variety import ENOUGH, FEW, Variety, doubts_of_calibration
from edgecompress.data.batches import Batch
from tests.heard import Heard
from tests.networks import ConvNet, images, seeded


def _batches(sizes: list[int], **inputs: Array) -> list[Batch]:
    """Batches of these sizes, of inputs with a row for each sample."""
    ends = np.cumsum(sizes)
    return [
        Batch(inputs={name: array[end - size : end] for name, array in inputs.items()})
        for size, end in zip(sizes, ends, strict=True)
    ]


def test_samples_are_told_apart_along_the_batch_axis_of_each_input() -> None:
    state = np.arange(4.0)[None, :, None] * np.ones((2, 1, 3))
    batch = Batch(inputs={"x": np.ones((4, 5)), "h": state, "rate": np.array(16.0)}, axes={"h": 1})
    variety = Variety.of([batch])
    assert (set(variety.still), set(variety.varied)) == ({"x", "rate"}, {"h"})
    assert "rate" in Variety.of([batch, replace(batch, inputs={**batch.inputs, "rate": np.array(8.0)})]).varied
    assert not Variety.of([replace(batch, inputs={**batch.inputs, "h": state[:, :1].repeat(4, 1)})]).varied


sizes = st.lists(st.integers(1, 4), min_size=1, max_size=5)


@given(sizes, st.data())
def test_an_input_is_still_unless_one_sample_differs(drawn: list[int], data: st.DataObject) -> None:
    """Wherever the one that differs lies, and however the samples fall into batches."""
    total = sum(drawn)
    values = np.ones((total, 2, 3), np.float32)
    place = data.draw(st.integers(0, total - 1))
    other = values.copy()
    other[place, 1, 2] = 2.0
    variety = Variety.of(_batches(drawn, still=values, other=other))
    assert variety.varied == ({"other"} if total > 1 else set())
    assert set(variety.still) == ({"still"} if total > 1 else {"still", "other"})


def test_no_more_is_read_than_tells() -> None:
    def stream() -> Iterator[Batch]:
        yield Batch(inputs={"x": np.arange(6, dtype=np.float32).reshape(2, 3)})
        raise AssertionError

    assert Variety.of(stream()).varied == {"x"}


def test_lengths_that_vary_are_variety() -> None:
    batches = [Batch(inputs={"x": np.ones((1, length), np.float32)}) for length in (3, 4)]
    assert Variety.of(batches).varied == {"x"}


def test_an_input_without_rows_is_no_sample() -> None:
    batch = Batch(inputs={"x": np.arange(4, dtype=np.float32), "rate": np.array([16000.0, 1.0], np.float32)})
    assert Variety.of([batch]).still == {}


@pytest.mark.parametrize("samples", [1, FEW - 1, FEW, ENOUGH])
@pytest.mark.parametrize("judged_apart", [True, False])
def test_few_samples_are_told_with_their_number(samples: int, judged_apart: bool) -> None:
    values = np.random.default_rng(0).standard_normal((samples, 3)).astype(np.float32)
    lines = doubts_of_calibration(_batches([samples], x=values), samples, judged_apart=judged_apart)
    assert len(lines) == (1 if samples < FEW else 0)
    for line in lines:
        assert f"of {samples} sample" in line
        assert ("--evaluation" in line) is not judged_apart


def _told(rows: int, **inputs: Array) -> tuple[str, ...]:
    return doubts_of_calibration(_batches([rows], **inputs), max(rows, FEW), judged_apart=True)


def test_the_input_that_never_varies_is_named() -> None:
    varying, still = np.arange(40, dtype=np.float32).reshape(20, 2), np.full((20, 2), 0.5, np.float32)
    (line,) = _told(20, image=varying, gain=still)
    assert "never vary in 'gain': " in line
    (line,) = _told(20, image=0 * varying, gain=still)
    assert "never vary in 'image' (all zeros), 'gain': " in line
    assert _told(20, image=varying) == ()


def test_a_mask_may_be_the_same_for_all_but_not_with_all_else() -> None:
    tokens, mask = np.arange(40).reshape(20, 2), np.ones((20, 2), np.int64)
    assert _told(20, tokens=tokens, mask=mask) == ()
    (line,) = _told(20, tokens=0 * tokens, mask=mask)
    assert "'tokens' (all zeros), 'mask'" in line


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([torch.zeros(16, 3, 16, 16)], "never vary in 'image' (all zeros)"),
        ([images(1)[0][0].repeat(8, 1, 1, 1)] * 2, "never vary in 'image': "),
        ([images(1)[0][0]], "of 1 sample only"),
    ],
)
def test_a_run_warns_and_the_report_keeps_it(data: list[torch.Tensor], words: str, tmp_path: Path) -> None:
    heard = Heard()
    bundle = compress(
        seeded(ConvNet),
        target="mobile",
        calibration=data,
        output=tmp_path / "out",
        progress=heard,
        overrides=["export.simplify=false", "cpu.runs=10", "quantization.adaround=false"],
    )
    assert len([line for line in heard.lines if words in line]) == 1
    assert words in (bundle.path / "report.json").read_text()
