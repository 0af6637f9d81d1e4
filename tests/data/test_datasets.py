"""A dataset of samples becomes batches; targets of any form stay with their samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from edgecompress.data.batches import ANY, Batches, InputNames, rereadable
from edgecompress.data.datasets import Loaded, collate
from edgecompress.data.parts import target_key
from tests.drawn_folders import told

X = torch.arange(10.0)[:, None].repeat(1, 3)


class _Listed(Dataset[Any]):
    def __init__(self, samples: list[Any]) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Any:
        return self._samples[index]


class _Streamed(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield from ((x, index) for index, x in enumerate(X))


class Endless(Dataset[Any]):
    def __getitem__(self, index: int) -> Any:
        return X[0]


def _read(dataset: Dataset[Any], role: str = "evaluation", rows: int = 4, inputs: tuple[str, ...] = ("x",)) -> Batches:
    given: Any = lambda: dataset  # noqa: E731
    return Batches(
        role=role,
        source=rereadable(given, role, rows),
        inputs=InputNames(names=inputs, required=len(inputs)),
        label_kinds=ANY,
    )


@pytest.mark.parametrize("dataset", [TensorDataset(X, torch.arange(10)), _Streamed()])
def test_samples_become_batches_in_their_order(dataset: Dataset[Any]) -> None:
    batches = list(_read(dataset))
    assert [batch.rows for batch in batches] == [4, 4, 2]
    assert np.concatenate([batch.labels for batch in batches]).tolist() == list(range(10))
    assert (np.concatenate([batch.inputs["x"] for batch in batches]) == X.numpy()).all()
    assert _read(dataset).count() == 3


@given(st.integers(1, 40), st.integers(1, 9))
def test_every_sample_is_read_once_also_where_they_are_shuffled(samples: int, rows: int) -> None:
    for role in ("calibration", "train"):
        batches = list(Loaded(_Listed([(torch.ones(2), n) for n in range(samples)]), role=role, rows=rows))
        assert len(batches) == len(Loaded(_Listed([0] * samples), role=role, rows=rows))
        labels = np.concatenate([labels for _, labels in batches]).tolist()
        assert sorted(labels) == list(range(samples))
        assert role == "train" or labels == list(range(samples))


def test_what_is_trained_on_is_shuffled_by_the_seed_of_the_run() -> None:
    data = _Listed([(torch.ones(2), n) for n in range(64)])

    def order(seed: int) -> list[int]:
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        found = [int(n) for _, labels in Loaded(data, role="train", rows=8) for n in labels]
        assert torch.equal(torch.get_rng_state(), before)
        return found

    assert order(1) == order(1) != order(2)
    assert order(1) != list(range(64))


def test_dicts_of_boxes_texts_and_arrays_of_other_shapes_stay_lists() -> None:
    boxes = [{"boxes": np.zeros((n, 4)), "labels": np.zeros(n, int)} for n in range(3)]
    for targets in (boxes, ["a", "b", "c"], [np.zeros(n) for n in range(3)]):
        (batch,) = _read(_Listed([(x, target) for x, target in zip(X[:3], targets, strict=True)]))
        assert isinstance(batch.labels, list)
        assert all(found is given for found, given in zip(batch.labels, targets, strict=True))


def test_masks_are_stacked() -> None:
    (batch,) = _read(_Listed([(x, np.full((2, 2), n)) for n, x in enumerate(X[:3])]))
    assert batch.labels.shape == (3, 2, 2)


@pytest.mark.parametrize("key", ["labels", "label"])
def test_samples_by_name_as_hugging_face_has_them(key: str) -> None:
    samples = [{"pixel_values": np.ones((3, 2, 2)), key: n} for n in range(3)]
    (batch,) = _read(_Listed(samples), inputs=("pixel_values",))
    assert batch.inputs["pixel_values"].shape == (3, 3, 2, 2)
    assert batch.labels.tolist() == [0, 1, 2]


def test_inputs_in_tuples_and_dicts_and_by_themselves() -> None:
    pair = (np.ones(2), np.zeros((1, 3)))
    assert [part.shape for part in collate([(pair, 1)] * 5, "")[0]] == [(5, 2), (5, 1, 3)]
    named = collate([({"x": np.ones(2), "rate": 3.0}, "a")] * 5, "")
    assert (named[0]["x"].shape, named[0]["rate"].shape, named[1]) == ((5, 2), (5,), ["a"] * 5)
    assert collate([torch.ones(2)] * 5, "").shape == (5, 2)
    assert collate([(torch.ones(2), None)] * 5, "")[1] is None


def test_label_is_a_target_unless_it_is_an_input() -> None:
    assert target_key({"x": 0, "label": 1}) == "label"
    assert target_key({"x": 0, "label": 1, "labels": 2}) == "labels"
    assert target_key({"x": 0, "label": 1}, ("x", "label")) == "labels"


@pytest.mark.parametrize(
    ("samples", "fault"),
    [
        (
            [torch.ones(2), torch.ones(3)],
            "evaluation samples from 0 on: inputs have shapes (2,) and (3,); give all one shape, or a DataLoader that"
            " pads",
        ),
        (
            ["a", "b"],
            "evaluation samples from 0 on: an input is a str; give arrays or tensors, such as a transform makes",
        ),
        (
            [{"x": np.ones(2), "y": 1}, {"x": np.ones(2)}],
            "evaluation samples from 0 on: one has no 'y', which the first has; give all the same parts",
        ),
    ],
)
def test_samples_that_make_no_batch_are_told(samples: list[Any], fault: str) -> None:
    assert told(lambda: list(_read(_Listed(samples)))) == fault


def test_a_dataset_without_a_length_and_one_without_samples_are_told() -> None:
    assert told(lambda: _read(Endless())) == ("the evaluation data is an Endless without a length; define __len__")
    assert told(lambda: list(_read(_Listed([])))) == "the evaluation data yields no batches; return at least one"
