"""Arrays of all samples and lists of single samples become batches that hold each sample once, in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.data.batches import Batches, InputNames, rereadable
from edgecompress.data.whole import cut, is_whole
from edgecompress.errors import DataError

X, Y = torch.arange(10.0)[:, None].repeat(1, 3), torch.arange(10)
ONE = InputNames(names=("x",), required=1)


def _read(given_: Any, rows: int = 4, axes: dict[str, int] | None = None) -> list[Any]:
    source = rereadable(lambda: given_, "evaluation", rows, axes or {})
    return list(Batches(role="evaluation", source=source, inputs=ONE))


@pytest.mark.parametrize(
    ("given_", "labelled"),
    [
        (X, False),
        (X.numpy(), False),
        ((X, Y), True),
        ((X.numpy(), Y.numpy()), True),
        ({"x": X}, False),
        ({"x": X, "labels": Y}, True),
        ([(x, int(y)) for x, y in zip(X, Y, strict=True)], True),
        ([[x.numpy(), int(y), "name"] for x, y in zip(X, Y, strict=True)], True),
    ],
)
def test_every_sample_is_read_once_and_in_order(given_: Any, labelled: bool) -> None:
    batches = _read(given_)
    assert [batch.rows for batch in batches] == [4, 4, 2]
    assert (np.concatenate([batch.inputs["x"] for batch in batches]) == X.numpy()).all()
    labels = [None if batch.labels is None else batch.labels.tolist() for batch in batches]
    assert labels == ([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] if labelled else [None] * 3)


@given(samples=st.integers(1, 20), rows=st.integers(1, 7), axis=st.integers(0, 1))
def test_cut_arrays_put_together_are_the_whole(samples: int, rows: int, axis: int) -> None:
    state = np.random.default_rng(0).random((2, samples) if axis else (samples, 2))
    whole = {"x": np.arange(samples), "state": state, "rate": np.array(3.0)}
    parts = cut(whole, rows, {"state": axis, "rate": 0}, "data")
    assert len(parts) == -(-samples // rows)
    assert (np.concatenate([part["x"] for part in parts]) == whole["x"]).all()
    assert (np.concatenate([part["state"] for part in parts], axis) == state).all()
    assert all(part["rate"] == 3 for part in parts)


@pytest.mark.parametrize(
    "batches",
    [
        [X, X],
        [(X, Y), (X, Y)],
        (X, X),  # two batches, as ever
        ((X, Y), (X, Y)),
        [(X, torch.tensor(3.0))],  # an input that all samples share
        [],
        "text",
        {},
    ],
)
def test_batches_are_not_taken_for_arrays(batches: Any) -> None:
    assert not is_whole(batches)


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        _read({"x": X, "labels": Y[:3]})
    assert str(caught.value) == (
        "the evaluation data: arrays need the same first dimension, not {'x': 10, 'labels': 3}; save one row for each"
        " sample, or name the axis that holds the samples (export.batch_axes.NAME)"
    )
