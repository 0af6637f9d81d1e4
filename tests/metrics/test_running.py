"""What a metric is given, and what it may answer."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.errors import DataError, RecipeError
from edgecompress.loading.own_metric import own_measure
from edgecompress.metrics.metric import named_measure
from edgecompress.metrics.running import Running
from tests.metrics.kept import Kept, KeptModule

OUTPUTS, TARGETS = np.zeros((4, 2), np.float32), np.zeros(4, np.float64)


def _given(metric: Kept, outputs: list[Any], targets: Any, axis: int | None = None) -> Any:
    measure = own_measure(lambda: metric, "mine")
    running = Running(measure)
    running.update(outputs, targets, "evaluation batch 3", axis)
    (given,) = metric.given
    return given


def test_one_output_is_given_as_it_is_and_several_in_their_order() -> None:
    outputs, _ = _given(Kept(), [OUTPUTS], TARGETS)
    assert outputs is OUTPUTS
    outputs, targets = _given(Kept(), [OUTPUTS, TARGETS], TARGETS)
    assert isinstance(outputs, tuple)
    assert (outputs[0] is OUTPUTS, outputs[1] is TARGETS) == (True, True)
    assert np.array_equal(targets, TARGETS)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int8", "uint8", "int64", "bool"])
def test_a_module_is_given_tensors_of_the_same_type(dtype: str) -> None:
    read_only = np.ones((4, 2), dtype)
    read_only.flags.writeable = False
    (first, second), targets = _given(KeptModule(), [read_only, OUTPUTS[:, ::-1]], read_only)
    assert all(isinstance(each, torch.Tensor) for each in (first, second, targets))
    assert first.dtype == targets.dtype == torch.from_numpy(np.ones(1, dtype)).dtype
    assert (first.shape, second.shape) == ((4, 2), (4, 2))


class KeptClasses(Kept):
    """One of classes, which knows a label of its own that does not count."""

    of_classes, ignores = True, (255,)


labels = st.lists(st.sampled_from([0, 1, 2, -100, 255]), min_size=1, max_size=6)


@given(labels, st.integers(1, 4), st.sampled_from([1, -1]), st.sampled_from(["int64", "int16", "int32"]))
def test_scores_of_classes_have_them_along_axis_1(drawn: list[int], length: int, axis: int, dtype: str) -> None:
    masks = np.repeat(np.array(drawn, dtype)[:, None], length, 1)
    scores = np.random.default_rng(0).normal(size=(len(drawn), 3, length))
    handed, targets = _given(KeptClasses(), [np.moveaxis(scores, 1, axis)], masks, axis)
    assert np.array_equal(handed, scores)
    assert np.array_equal(targets, np.where(masks == 255, -100, masks))


def test_a_label_that_is_no_class_is_named() -> None:
    with pytest.raises(DataError, match=r"^evaluation batch 3: label 3 is out of range; the model gives 3 classes"):
        _given(KeptClasses(), [np.zeros((2, 3))], np.array([255, 3]))
    with pytest.raises(DataError, match=r"^evaluation batch 3: labels of shape \(3, 2\) do not fit"):
        _given(KeptClasses(), [np.zeros((2, 3))], np.zeros((3, 2), int))


def test_unsigned_labels_are_labels() -> None:
    _, targets = _given(KeptClasses(), [np.zeros((2, 3))], np.array([255, 2], np.uint8))
    assert targets.tolist() == [-100, 2]


def test_nothing_is_measured_where_nothing_counts() -> None:
    running = Running(own_measure(KeptClasses, "mine"))
    assert running.value is None
    running.update([np.zeros((2, 3))], np.array([255, -100]), "batch")
    assert running.value is None


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (np.zeros(3), "float64 (3,)"),
        (np.zeros(1), "float64 (1,)"),
        (torch.zeros(2), "torch.float32 (2,)"),
        (None, "None"),
        ("good", "a str"),
    ],
)
def test_what_is_no_number_is_told(value: Any, told: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Running(own_measure(lambda o, t: value, "mine")).update([OUTPUTS], TARGETS, "evaluation batch 3")
    assert str(caught.value) == f"metric 'mine' gives {told} for evaluation batch 3; let it give one finite number"
    running = Running(own_measure(lambda: _Answers(value), "mine"))
    running.update([OUTPUTS], TARGETS, "batch")
    with pytest.raises(RecipeError) as caught:
        _ = running.value
    assert str(caught.value) == f"metric 'mine' gives {told} for all batches; let it give one finite number"


def test_the_first_of_several_values_decides() -> None:
    running = Running(own_measure(lambda: _Answers({"map": 0.5, "map_50": torch.tensor(0.75)}), "mine"))
    running.update([OUTPUTS], TARGETS, "batch")
    assert running.value == 0.5


@pytest.mark.parametrize(("values", "told"), [({}, "None"), ({"classes": np.zeros(3)}, r"float64 \(3,\)")])
def test_the_first_of_several_values_has_to_be_a_number(values: dict[str, Any], told: str) -> None:
    running = Running(own_measure(lambda: _Answers(values), "mine"))
    running.update([OUTPUTS], TARGETS, "batch")
    with pytest.raises(RecipeError, match=f"^metric 'mine' gives {told} for all batches; let it give one finite"):
        _ = running.value


def test_a_function_gives_a_single_number() -> None:
    with pytest.raises(
        RecipeError, match=r"^metric 'mine' gives a dict for evaluation batch 3; let it give one finite"
    ):
        Running(own_measure(lambda o, t: {"map": 0.5}, "mine")).update([OUTPUTS], TARGETS, "evaluation batch 3")


class _Answers(Kept):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self._value = value

    def compute(self) -> Any:
        return self._value


@pytest.mark.parametrize(("value", "refused"), [(np.zeros(3), True), (float("nan"), False), (0.5, False)])
def test_what_few_batches_do_not_tell_is_no_fault(value: Any, refused: bool) -> None:
    running = Running(own_measure(lambda: _Answers(value), "mine"))
    running.update([OUTPUTS], TARGETS, "batch")
    with pytest.raises(RecipeError, match="metric 'mine' gives float64") if refused else nullcontext():
        running.require_one_number()


def _failing(outputs: Any, targets: Any) -> float:
    raise KeyError("boxes")


class _FailsLater(Kept):
    def compute(self) -> Any:
        raise SystemExit("no classes\nwere seen")


class _FailsAsModule(KeptModule):
    def update(self, *given: Any) -> None:
        _failing(*given)


def test_a_metric_that_fails_is_named_with_what_it_was_given() -> None:
    for metric, kind in ((_failing, "NumPy arrays"), (_FailsAsModule, "tensors")):
        with pytest.raises(RecipeError) as caught:
            Running(own_measure(metric, "mine")).update([OUTPUTS], TARGETS, "evaluation batch 3")
        assert str(caught.value) == (
            f"metric 'mine' raised KeyError on evaluation batch 3: 'boxes'; repair it: it is given {kind}, outputs"
            " float32 (4, 2), and targets float64 (4,)"
        )
    running = Running(own_measure(_FailsLater, "mine"))
    running.update([OUTPUTS], TARGETS, "batch")
    running.require_one_number()
    with pytest.raises(RecipeError) as caught:
        _ = running.value
    assert str(caught.value) == "compute() of metric 'mine' raised SystemExit: no classes; repair it"


BOXES: list[Any] = [{"boxes": np.zeros((count, 4), np.float32), "name": "a"} for count in (1, 0, 3, 2)]


def test_targets_of_any_form_are_given_as_they_are() -> None:
    _, targets = _given(Kept(), [OUTPUTS], BOXES)
    assert [entry.keys() for entry in targets] == [entry.keys() for entry in BOXES]
    assert all(np.array_equal(given["boxes"], entry["boxes"]) for given, entry in zip(targets, BOXES, strict=True))


def test_a_module_is_given_tensors_wherever_arrays_of_numbers_stand() -> None:
    _, targets = _given(KeptModule(), [OUTPUTS], (BOXES, np.array(["a", "b", "c", "d"])))
    boxes, names = targets
    assert [tuple(entry["boxes"].shape) for entry in boxes] == [(1, 4), (0, 4), (3, 4), (2, 4)]
    assert all(isinstance(entry["boxes"], torch.Tensor) and entry["name"] == "a" for entry in boxes)
    assert isinstance(names, np.ndarray)


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=4), min_size=1, max_size=4))
def test_a_function_is_averaged_by_samples_whatever_the_targets_are(batches: list[list[str]]) -> None:
    running = Running(
        own_measure(lambda outputs, targets: sum(name == "a" for name in targets) / len(targets), "share")
    )
    for names in batches:
        running.update([np.zeros(len(names))], names, "batch")
    everything = [name for names in batches for name in names]
    assert running.value == pytest.approx(everything.count("a") / len(everything))


def test_what_a_metric_fails_on_is_described() -> None:
    def failing(outputs: Any, targets: Any) -> float:
        return float(targets.mean())

    with pytest.raises(RecipeError, match=r"and targets a list of 4, the first a dict"):
        Running(own_measure(failing, "mine")).update([OUTPUTS], BOXES, "evaluation batch 0")


def _spoiling(outputs: Any, targets: Any) -> float:
    value = float(abs(outputs - targets["wanted"]).mean())
    targets.pop("wanted")
    return value


def test_what_a_metric_does_to_its_targets_spoils_nothing_for_the_next_network() -> None:
    measure, targets = own_measure(_spoiling, "mine"), {"wanted": np.zeros(3)}
    for _ in range(2):
        running = Running(measure)
        running.update([np.ones(3)], targets, "batch")
        assert running.value == 1.0


def test_a_metric_of_classes_refuses_targets_that_are_no_numbers() -> None:
    with pytest.raises(DataError) as caught:
        Running(named_measure("top1")).update([np.zeros((2, 3))], ["a", "b"], "train batch 0")
    assert str(caught.value) == (
        "train batch 0: targets are a list of 2, the first a str; give class indices, an array of integers"
    )
