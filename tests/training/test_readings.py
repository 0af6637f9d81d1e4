"""What a loss is given of outputs and targets."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from edgecompress.errors import InputError
from edgecompress.training.readings import is_counted, read_classes, read_numbers, read_sequences

SCORES = torch.rand(2, 3, 4)


@pytest.mark.parametrize(("axis", "shape"), [(1, (2, 4)), (2, (2, 3))])
def test_classes_come_to_axis_1_and_what_does_not_count_is_minus_100(axis: int, shape: tuple[int, int]) -> None:
    labels = torch.zeros(shape, dtype=torch.int64)
    labels[0, 0], labels[1, 1] = 255, -100
    scores, read = read_classes({"logits": SCORES, "other": 0}, labels, None, 255)
    assert torch.equal(scores, SCORES.movedim(axis, 1))
    wanted = torch.zeros(shape, dtype=torch.int64)
    wanted[0, 0] = wanted[1, 1] = -100
    assert torch.equal(read, wanted)


def test_a_class_of_the_network_can_be_ignored() -> None:
    assert read_classes(SCORES[..., 0], torch.tensor([0, 1]), None, 0)[1].tolist() == [-100, 1]


def test_numbers_are_all_there_or_those_that_count() -> None:
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    kept, wanted = read_numbers((values,), torch.tensor([[0, 1], [-100, 9]]), None, 9)
    assert (kept.tolist(), wanted.tolist(), wanted.dtype) == ([1.0, 2.0], [0.0, 1.0], torch.float32)
    kept, wanted = read_numbers(values, torch.full((2, 2), -100.0), None, None)  # a temperature, say
    assert torch.equal(kept, values)
    assert wanted.shape == (2, 2)


@pytest.mark.parametrize(
    "targets",
    [
        torch.tensor([[1, 3, -100], [2, 0, 7]]),
        [torch.tensor([1, 3]), [2]],
        ([1, 3], torch.tensor([2, 7]).numpy()),
    ],
)
def test_sequences_lose_their_padding(targets: Any) -> None:
    scores, rows = read_sequences(torch.rand(2, 5, 6), targets, None, 7)
    assert scores.shape == (2, 5, 6)
    assert [row.tolist() for row in rows] == [[1, 3], [2]]
    assert all(row.dtype == torch.int64 for row in rows)


def test_sequences_may_be_empty_and_classes_lie_elsewhere() -> None:
    scores, rows = read_sequences(torch.rand(1, 6, 5), [[]], 1, None)
    assert (scores.shape, rows[0].tolist()) == ((1, 5, 6), [])


def test_minus_100_counts_among_numbers_that_are_no_integers() -> None:
    assert is_counted(torch.tensor([-100.0, 1.0]), None).all()
    assert is_counted(torch.tensor([-100.0, 1.0]), 1).tolist() == [True, False]


@pytest.mark.parametrize(
    ("read", "outputs", "targets", "told"),
    [
        (
            read_classes,
            SCORES,
            torch.zeros(2, 3),
            "labels are torch.float32 (2, 3); give class indices (integers), or name a loss of numbers",
        ),
        (
            read_sequences,
            SCORES[0],
            [[1]],
            "outputs are torch.float32 (3, 4); CTC reads scores (rows, steps, classes)",
        ),
        (read_sequences, SCORES, None, "0 sequences of classes for 2 samples; give one for each"),
        (
            read_sequences,
            SCORES,
            ["ab", "c"],
            "a sequence of classes is a str; give integers of one dimension",
        ),
        (
            read_sequences,
            SCORES,
            [[1], [4]],
            "label 4 is out of range; the model gives 4 classes; number them 0 to 3, and give -100 for what does not"
            " count",
        ),
        (
            read_sequences,
            SCORES,
            [[1], [1, 2, 1, 2]],
            "a sequence of 4 classes does not fit 3 steps; cut it, or leave it out",
        ),
    ],
)
def test_what_does_not_fit_is_told(read: Any, outputs: Tensor, targets: Any, told: str) -> None:
    with pytest.raises(InputError) as caught:
        read(outputs, targets, None, None)
    assert str(caught.value) == told
