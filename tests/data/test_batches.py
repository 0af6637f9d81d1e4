"""Batches in every form that the documentation lists, and those that cannot be used."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from edgecompress.arrays import SHARED, TensorSpec
from edgecompress.data.batches import ANY, Batch, Batches, InputNames, rereadable
from edgecompress.data.digest import digest_of
from edgecompress.errors import DataError, a_kind
from edgecompress.metrics.metric import named_measure
from edgecompress.metrics.targets import samples_of
from tests.drawn_targets import targets_of_samples

ONE = InputNames(names=("image",), required=1)
TWO = InputNames(names=("image", "mask"), required=2)
LABELLED = InputNames(names=("image", "label"), required=2)
OPTIONAL = InputNames(names=("image", "mask"), required=1)
X, M, Y = torch.ones(4, 3), torch.zeros(4, 2), torch.arange(4)


def _first(raw: Any, names: InputNames = ONE, **options: Any) -> Batch:
    return Batches(role="calibration", source=lambda: [raw], inputs=names, **options).first()


@pytest.mark.parametrize(
    ("raw", "names", "inputs", "labelled"),
    [
        (X, ONE, ["image"], False),
        ((X,), ONE, ["image"], False),
        ((X, Y), ONE, ["image"], True),
        ([X, Y], ONE, ["image"], True),
        ((X, M), TWO, ["image", "mask"], False),
        (((X, M), Y), TWO, ["image", "mask"], True),
        ((X, Y), OPTIONAL, ["image"], True),
        (((X, M), Y), OPTIONAL, ["image", "mask"], True),
        ({"image": X}, ONE, ["image"], False),
        ({"image": X, "labels": Y}, ONE, ["image"], True),
        ({"image": X, "label": Y}, ONE, ["image"], True),
        ({"image": X, "label": M}, LABELLED, ["image", "label"], False),
        (({"image": X, "mask": M}, Y), TWO, ["image", "mask"], True),
        ((X, None), ONE, ["image"], False),
        ((X.numpy(), Y.numpy()), ONE, ["image"], True),
    ],
)
def test_every_form_of_a_batch(raw: Any, names: InputNames, inputs: list[str], labelled: bool) -> None:
    batch = _first(raw, names)
    assert list(batch.inputs) == inputs
    assert (batch.inputs["image"] == X.numpy()).all()
    assert (batch.labels is not None) == labelled
    assert batch.rows == 4


def test_labels_are_left_out_where_they_are_not_wanted() -> None:
    assert _first((X, torch.rand(4)), use_labels=False).labels is None


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (torch.zeros(0, 3), "the first dimension must be the batch, and not 0"),
        (torch.tensor(1.0), "the first dimension must be the batch"),
        (X.to(torch.bfloat16), "convert it to float32"),
        ({"picture": X, "mask": X}, "'picture' that the model does not take"),
        ((X, torch.rand(4)), "labels are float32; give class indices"),
        (
            (X, torch.rand(4, 3)),
            "calibration batch 0: labels are float32 of shape (4, 3); give class indices (integers): where they are"
            " one-hot, labels.argmax(1)",
        ),
        ((X, torch.arange(3)), "4 samples but labels of shape (3,)"),
        ({}, "holds no inputs"),
        ("a cat", "a tensor of numbers is needed"),
        (X * torch.nan, "holds NaN"),
        (-X / 0, "holds infinity"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(raw: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        _first(raw)
    assert words in str(caught.value)
    assert str(caught.value).startswith("calibration batch 0")
    assert "\n" not in str(caught.value)


def test_too_many_inputs_are_refused() -> None:
    with pytest.raises(DataError, match="has 3 inputs; the model takes image, mask"):
        _first((X, X, X), OPTIONAL)


@pytest.mark.parametrize("array", [np.zeros((4, 3), np.float64), np.zeros((4, 2), np.float32), np.zeros(4, np.float32)])
def test_a_batch_that_the_exported_model_does_not_take_is_refused(array: np.ndarray[Any, Any]) -> None:
    spec = TensorSpec(name="image", dtype=np.dtype(np.float32), shape=("batch", 3))
    with pytest.raises(DataError, match=r"the exported model takes float32 \(batch, 3\)"):
        _first(array, signature=(spec,))


def test_a_generator_is_read_once_and_refused() -> None:
    stream = iter([X])
    with pytest.raises(DataError, match="can be read only once; return a list, a DataLoader or a new generator"):
        rereadable(lambda: stream, "calibration")


def test_a_generator_function_a_list_and_a_loader_can_be_read_again() -> None:
    def fresh() -> Iterator[torch.Tensor]:
        yield X

    for source in (fresh, lambda: [X], lambda: DataLoader(TensorDataset(X, Y), batch_size=4)):
        batches = Batches(role="calibration", source=rereadable(source, "calibration"), inputs=ONE)
        assert len(list(batches)) == len(list(batches)) == 1


@pytest.mark.parametrize("value", [torch.tensor(3.0), 3, "text", {"image": [X]}, {}])
def test_what_is_no_iterable_of_batches_is_refused(value: Any) -> None:
    with pytest.raises(DataError, match="return an iterable of batches"):
        rereadable(lambda: value, "calibration")


def test_batches_are_counted_by_length_or_by_reading() -> None:
    def stream() -> Iterator[torch.Tensor]:
        yield from [X, X, X]

    loader = DataLoader(TensorDataset(X, Y), batch_size=3)
    for source, count in ((stream, 3), (lambda: [X, X], 2), (lambda: loader, 2)):
        for opened in (source, rereadable(source, "train")):
            assert Batches(role="train", source=opened, inputs=ONE).count() == count


def test_labels_of_a_regression_are_kept_where_they_are_wanted() -> None:
    labels = _first((X, torch.rand(4, 2)), label_kinds="iuf").labels
    assert labels is not None
    assert labels.shape == (4, 2)


def test_a_sample_repeats_what_there_is() -> None:
    batch = Batch(inputs={"x": np.arange(3), "shared": np.zeros(5)}, labels=np.arange(3))
    sample = batch.sample(5)
    assert sample.inputs["x"].tolist() == [0, 1, 2, 0, 1]
    assert sample.inputs["shared"].shape == (5,)
    assert batch.slice(1, 3).inputs["x"].tolist() == [1, 2]
    assert batch.slice(1, 3).inputs["shared"].shape == (5,)


def test_the_digest_sees_names_shapes_and_values() -> None:
    def digest(batch: Batch) -> str:
        hasher = hashlib.sha256()
        batch.update(hasher)
        return hasher.hexdigest()

    base = np.arange(6, dtype=np.float32).reshape(2, 3)
    others: list[dict[str, np.ndarray[Any, Any]]] = [
        {"y": base},
        {"x": base.reshape(3, 2)},
        {"x": base + 1},
        {"x": base.astype(np.float64)},
    ]
    digests = {digest(Batch(inputs=inputs)) for inputs in [{"x": base}, *others]}
    assert len(digests) == 5
    assert digest(Batch(inputs={"x": base.T.copy().T})) == digest(Batch(inputs={"x": base}))


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
LABELS = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner))


@given(LABELS.filter(lambda labels: labels is not None))
def test_labels_are_an_integer_array_or_refused_in_one_line(labels: Any) -> None:
    try:
        taken = _first((X, labels)).labels
    except DataError as error:
        told = str(error).removeprefix("calibration batch 0")
        assert told.startswith(
            (": labels are ", " has 4 samples but labels of ", " is a single sample, with one label;")
        )
    else:
        assert taken is not None
        assert taken.dtype.kind in "iu"
        np.testing.assert_array_equal(taken, labels)


@pytest.mark.parametrize(
    "labels",
    [
        {"boxes": X},
        [{"boxes": X}] * 4,
        ["a", "b", "c", "d"],
        [[1], [1, 2]],
        object(),
        torch.ones(4, dtype=torch.bfloat16),
    ],
)
def test_labels_that_are_no_array_are_told_what_works(labels: Any) -> None:
    with pytest.raises(DataError) as caught:
        _first((X, labels))
    assert str(caught.value) == (
        f"calibration batch 0: labels are {a_kind(labels)} that is no array of numbers; give class indices, an"
        " integer array of shape (rows,), name a metric that takes them (--metric), or leave labels out"
    )


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (
            [{"boxes": X}] * 4,
            "boxes; give --metric map, and --postprocess with a function that makes them of the outputs"
            " (file.py:callable, docs/metrics.md)",
        ),
        (torch.rand(4), "float32 (4,); give --metric mae, or rmse"),
        (torch.full((4, 8), 3.0), "float32 (4, 8); give --metric mae, or rmse"),
        (
            torch.full((4, 8, 8), 3.0),
            "float32 (4, 8, 8); give --metric mae, or rmse; masks of classes as integers, labels.long(), and --metric"
            " miou",
        ),
        (torch.ones(4, 8, 8), "masks of 0 and 1; give them as integers, labels.long(), and --metric miou"),
    ],
)
def test_labels_that_another_metric_reads_are_told_which(labels: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        Batches(role="evaluation", source=lambda: [(X, labels)], inputs=ONE).first()
    assert str(caught.value) == f"evaluation batch 0: labels are {words}"


@pytest.mark.parametrize("name", ["miou", "dice", "f1"])
@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.ones(4, 8, 8), "masks of 0 and 1; give them as integers, labels.long()"),
        (
            torch.ones(4, 1, 8, 8) > 0,
            "masks of 0 and 1; give them as integers without the channel, labels.squeeze(1).long()",
        ),
        (torch.full((4, 8, 8), 3.0), "float32 (4, 8, 8); give them as integers, labels.long()"),
        (torch.full((4, 1, 8, 8), 3.0), "float32 (4, 1, 8, 8); give them as integers, labels.squeeze(1).long()"),
        (torch.full((4, 8), 3.0).double(), "float64 (4, 8); give them as integers, labels.long()"),
        (torch.full((4, 8, 8), 0.5), "float32 (4, 8, 8); give classes as integers, which these numbers are not"),
        (torch.full((4,), 0.5), "float32 (4,); give classes as integers, which these numbers are not"),
        (torch.eye(3)[torch.zeros(4, 8, 8).long()], "one-hot masks; give classes, labels.argmax(-1)"),
        ([[1], [1, 2], [0], [0]], "lists of classes, each of its own length; give them one length, padded with -100"),
        (torch.ones(4, 3), "0 or 1 for each class; give --metric auroc"),
    ],
)
def test_no_other_metric_is_told_than_the_one_that_was_named(name: str, labels: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        Batches(role="evaluation", source=lambda: [(X, labels)], inputs=ONE, measure=named_measure(name)).first()
    assert str(caught.value) == f"evaluation batch 0: labels are {words}"


@pytest.mark.parametrize(
    "targets",
    [
        [{"boxes": X}] * 4,
        ["a", "b", "c", "d"],
        [[1], [1, 2], [], [3]],
        [[1], [2], [3], [4]],
        [X, X[:2], X, X],
        [X, X, X, X],
        {"boxes": X, "names": ["a", "b", "c", "d"]},
        (X, Y),
        np.array(["a", "b", "c", "d"]),
        torch.ones(4, dtype=torch.bfloat16),
    ],
)
def test_targets_of_any_form_pass_through_as_the_objects_that_they_are(targets: Any) -> None:
    batch = _first((X, targets), label_kinds=ANY)
    assert batch.labels is targets
    half = batch.slice(1, 3)
    assert (half.rows, samples_of(half.labels)) == (2, 2)


@pytest.mark.parametrize("targets", [Y, Y.numpy(), Y.float(), [0, 1, 2, 3], (0.5, 1, 2, 3), list(Y), [True] * 4])
def test_targets_that_are_a_number_for_each_sample_or_an_array_are_an_array(targets: Any) -> None:
    labels = _first((X, targets), label_kinds=ANY).labels
    assert isinstance(labels, np.ndarray)
    assert labels.tolist() == [float(value) for value in targets]


@given(st.data(), st.integers(1, 4))
def test_a_digest_is_that_of_equal_batches(data: st.DataObject, rows: int) -> None:
    """Targets of any form count; two that are written alike are alike."""

    def digest(labels: Any) -> str:
        hasher = hashlib.sha256()
        Batch(inputs={"x": np.zeros((rows, 2))}, labels=labels).update(hasher)
        return hasher.hexdigest()

    first, second = (data.draw(targets_of_samples(rows)) for _ in range(2))
    assert (digest(first) == digest(second)) == (digest_of(first) == digest_of(second))


@given(
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    axis=st.integers(0, 3),
    rows=st.integers(1, 5),
    step=st.integers(1, 3),
)
def test_slices_along_any_axis_put_together_are_the_batch(shape: list[int], axis: int, rows: int, step: int) -> None:
    axis = min(axis, len(shape))
    whole = np.random.default_rng(0).random([*shape[:axis], rows, *shape[axis:]])
    inputs = {"rate": np.array(16000.0), "state": whole, "table": np.ones((rows, 2))}
    batch = Batch(inputs=inputs, labels=np.arange(rows), axes={"state": axis, "table": SHARED})
    assert batch.rows == rows
    parts = [batch.slice(start, start + step) for start in range(0, rows, step)]
    assert (np.concatenate([part.inputs["state"] for part in parts], axis) == whole).all()
    assert [label for part in parts for label in (part.labels if part.labels is not None else [])] == [*range(rows)]
    assert all(part.inputs["table"].shape == (rows, 2) and part.inputs["rate"].ndim == 0 for part in parts)
    doubled = batch.sample(2 * rows)
    assert (doubled.inputs["state"] == np.concatenate([whole, whole], axis)).all()
    assert doubled.axes == batch.axes


@pytest.mark.parametrize(
    ("axes", "shape", "words"),
    [
        ({"mask": 2}, (4, 2), "calibration batch 0: 'mask' has shape (4, 2) and no axis 2; see export.batch_axes"),
        ({"mask": 1}, (4, 0), "calibration batch 0: 'mask' has shape (4, 0); axis 1 must be the batch, and not 0"),
    ],
)
def test_a_batch_axis_that_is_not_there_is_told(axes: dict[str, int], shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(DataError) as caught:
        _first((X, torch.zeros(shape)), TWO, axes=axes)
    assert str(caught.value) == words


def test_a_number_that_all_samples_share_is_an_input() -> None:
    batch = _first((X, torch.tensor(16000.0)), TWO)
    assert (batch.rows, batch.inputs["mask"].shape) == (4, ())


@pytest.mark.parametrize(("name", "kept"), [("top1", True), ("miou", True), ("mae", False)])
def test_labels_are_read_as_classes_where_the_metric_reads_them_so(name: str, kept: bool) -> None:
    raw = [(np.zeros((4, 2), np.float32), np.zeros(4, np.int64))]
    names = InputNames(names=("x",), required=1)
    batches = Batches(role="evaluation", source=lambda: raw, inputs=names, measure=named_measure(name))
    assert (batches.as_classes.first().labels is not None) is kept
    assert batches.first().labels is not None


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_class_indices_that_are_ignored_are_minus_100(dtype: Any) -> None:
    labels = np.array([1, 200, 7, 1], dtype)
    assert _first((X, labels), ignore_index=200).labels.tolist() == [1, -100, 7, 1]
    assert _first((X, labels), ignore_index=1).labels.tolist() == [-100, labels[1], 7, -100]
    assert _first((X, labels)).labels is labels


@pytest.mark.parametrize("labels", [np.array([1.0, 2.0, 3.0, 4.0]), ["1", "1", "2", "2"]])
def test_only_class_indices_are_ignored(labels: Any) -> None:
    assert list(_first((X, labels), ignore_index=1, label_kinds=ANY).labels) == list(labels)


@pytest.mark.parametrize(("fixed", "axes"), [(1, {}), (2, {}), (3, {"image": 1})])
def test_batches_are_cut_to_the_number_of_samples_that_a_model_fixes(fixed: int, axes: dict[str, int]) -> None:
    axis = axes.get("image", 0)
    shape = (5, fixed) if axis else (fixed, 5)
    spec = TensorSpec(name="image", dtype=np.dtype(np.float32), shape=shape)
    whole = np.random.default_rng(0).random((5, 6) if axis else (6, 5), dtype=np.float32)
    labels = torch.arange(6)
    batches = Batches(role="evaluation", source=lambda: [(whole, labels)] * 2, inputs=ONE, signature=(spec,), axes=axes)
    read = list(batches)
    assert [batch.inputs["image"].shape for batch in read] == [shape] * (12 // fixed)
    assert np.array_equal(np.concatenate([batch.inputs["image"] for batch in read[: 6 // fixed]], axis), whole)
    assert np.concatenate([batch.labels for batch in read]).tolist() == [*range(6), *range(6)]


@pytest.mark.parametrize(
    ("shape", "rows"),
    [
        ((1, 3), [1, 1, 1, 1]),
        ((2, "width"), [2, 2]),
        ((3, 3), [4]),  # does not come out even
        ((2, 5), [4]),  # would not fit then either
        ((1, 3, 1), [4]),
        (("batch", 3), [4]),
    ],
)
def test_batches_are_cut_to_the_shapes_that_a_network_declares(shape: tuple[int | str, ...], rows: list[int]) -> None:
    batches = Batches(role="calibration", source=lambda: [X], inputs=ONE, declared={"image": shape})
    assert [batch.rows for batch in batches] == rows


def test_what_does_not_come_out_even_is_refused_as_it_is() -> None:
    spec = TensorSpec(name="image", dtype=np.dtype(np.float32), shape=(3, 3))
    with pytest.raises(DataError, match=r"'image' is float32 \(4, 3\); the exported model takes float32 \(3, 3\)"):
        _first(X, signature=(spec,))


def test_classes_in_the_place_of_inputs_are_told_and_the_labels_of_any_batch_can_be_looked_at() -> None:
    with pytest.raises(DataError) as caught:
        _first((Y, X))
    assert str(caught.value) == (
        "calibration batch 0: inputs are int64 of shape (4,), labels float32 of shape (4, 3); they are swapped: give"
        " (inputs, labels)"
    )
    assert _first((Y, X), label_kinds="iuf").inputs["image"].ndim == 1
    unread = Batches(role="calibration", source=lambda: [(X, torch.rand(4, 2))], inputs=ONE, use_labels=False)
    assert unread.first_labels().shape == (4, 2)
    assert unread.first().labels is None


def test_a_single_sample_is_told_from_a_batch() -> None:
    with pytest.raises(DataError) as caught:
        _first((X, torch.tensor(2)))
    assert str(caught.value) == (
        "calibration batch 0 is a single sample, with one label; give batches, samples along the first dimension"
    )
