"""Batches become tensors, shared out by rows; what they draw does not depend on training."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.data.batches import Batch
from edgecompress.system.randomness import own_randomness
from edgecompress.training.micro_batches import share, to_part, windows
from tests.training.batches import shuffled

CPU = torch.device("cpu")


@given(rows=st.integers(1, 40), count=st.integers(1, 9))
def test_every_row_has_one_process(rows: int, count: int) -> None:
    batch = Batch(inputs={"x": np.arange(rows), "shared": np.zeros(rows + 1)}, labels=np.arange(rows))
    parts = [share(batch, rank, count) for rank in range(count)]
    counted = [own.inputs["x"][:weight].tolist() for own, weight in parts]
    assert list(chain.from_iterable(counted)) == list(range(rows))
    assert all(own.rows == max(1, weight) for own, weight in parts)
    assert all(own.inputs["shared"].shape == (rows + 1,) for own, _ in parts)


def _order(skip: int, size: int, drawn_between: int) -> list[list[float]]:
    """What tells the batches of each window apart, while a training draws numbers of its own."""
    found = []
    with own_randomness():
        torch.manual_seed(5)
        for window in windows(shuffled(), size, skip, 0, 1):
            found.append([round(float(batch.inputs["image"].sum()), 3) for batch in window])
            torch.rand(drawn_between)
    return found


@pytest.mark.parametrize("size", [1, 2, 4])
def test_batches_that_were_used_are_read_past(size: int) -> None:
    whole = _order(0, size, 3)
    assert sum(map(len, whole)) == 6
    assert _order(size, size, 7) == whole[1:]


def test_data_that_draw_as_they_go_are_read_the_same_again() -> None:
    def stream() -> Iterator[Batch]:
        for _ in range(5):
            yield Batch(inputs={"x": np.array([torch.rand(1).item() + np.random.rand()])})

    def order(skip: int, drawn_between: int) -> list[float]:
        found = []
        with own_randomness():
            for window in windows(stream(), 1, skip, 3, 2):
                found.append(float(window[0].inputs["x"][0]))
                torch.rand(drawn_between)
                np.random.rand()
        return found

    assert order(2, 9) == order(0, 1)[2:]


def test_training_draws_as_if_the_data_drew_nothing() -> None:
    with own_randomness():
        torch.manual_seed(1)
        drawn = [torch.rand(1).item() for _ in windows(shuffled(), 1, 0, 3)]
        torch.manual_seed(1)
        assert drawn == [torch.rand(1).item() for _ in range(6)]


def test_images_are_laid_out_channel_by_channel() -> None:
    batch = Batch(inputs={"x": np.zeros((2, 3, 4, 4), np.float32), "y": np.zeros((2, 3))}, labels=np.zeros(2, np.int32))
    part = to_part(batch, 2, CPU, channels_last=True)
    assert part.inputs["x"].is_contiguous(memory_format=torch.channels_last)
    assert part.labels is not None
    assert part.labels.dtype == torch.int64
    assert to_part(batch, 2, CPU, channels_last=False).inputs["x"].is_contiguous()


def test_arrays_that_must_not_be_written_are_copied() -> None:
    array = np.zeros((2, 3), np.float32)
    array.setflags(write=False)
    assert to_part(Batch(inputs={"x": array}), 2, CPU, channels_last=False).inputs["x"].shape == (2, 3)


class Marks(NamedTuple):
    """Targets of a user's own form."""

    boxes: list[torch.Tensor]
    text: list[str]


def test_targets_of_any_form_keep_it_and_their_tensors_move() -> None:
    boxes, polygon = [torch.rand(2, 4), torch.rand(0, 4)], np.zeros(3)
    targets = [{"marks": Marks(boxes, ["a", "b"]), "polygon": polygon}, {"id": 3, "none": None}]
    batch = Batch(inputs={"x": np.zeros((2, 1))}, labels=targets)
    assert to_part(batch, 2, CPU, False).labels is targets
    moved = to_part(batch, 2, torch.device("meta"), False).labels
    assert {box.device.type for box in moved[0]["marks"].boxes} == {"meta"}
    assert isinstance(moved[0]["marks"], Marks)
    assert moved[0]["marks"].text == ["a", "b"]
    assert moved[0]["polygon"] is polygon
    assert moved[1] == targets[1]
