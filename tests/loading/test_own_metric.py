"""A metric of the user's own in every form that it may have gives one figure."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from edgecompress.errors import RecipeError
from edgecompress.loading.own_metric import own_measure
from edgecompress.metrics.metric import named_measure
from edgecompress.metrics.running import Running

Array = np.ndarray[Any, Any]


class MeanOfErrors:
    """An object of one's own."""

    higher_is_better = False

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self.reset()

    def update(self, outputs: Array, targets: Array) -> None:
        self.sum += float(abs(outputs - targets).sum()) * self.scale
        self.count += targets.size

    def compute(self) -> np.float64:
        return np.float64(self.sum / self.count)

    def reset(self) -> None:
        self.sum, self.count = 0.0, 0


class TensorError(nn.Module):
    """The form of torchmetrics: a module with tensors for its state, which waits for other processes if it is let."""

    higher_is_better = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.sync_on_compute = True
        self.register_buffer("total", torch.zeros(()))
        self.register_buffer("count", torch.zeros(()))

    def update(self, preds: Tensor, target: Tensor) -> None:
        self.total += (preds - target).abs().sum()
        self.count += target.numel()

    def compute(self) -> Tensor:
        assert not self.sync_on_compute
        return self.total / self.count

    def reset(self) -> None:
        self.total.zero_()
        self.count.zero_()


def error(outputs: Array, targets: Array) -> float:
    return float(abs(outputs - targets).mean())


FORMS: list[Any] = [
    MeanOfErrors,
    MeanOfErrors(),
    partial(MeanOfErrors, 1.0),
    lambda: MeanOfErrors(),
    TensorError,
    TensorError(),
    error,
    lambda outputs, targets: torch.tensor(error(outputs, targets)),
    partial(lambda scale, outputs, targets: scale * error(outputs, targets), 1.0),
]


@given(st.integers(0, 10**6), st.lists(st.integers(1, 9), min_size=1, max_size=4))
@pytest.mark.parametrize("form", FORMS, ids=range(len(FORMS)))
def test_every_form_gives_what_the_built_in_gives(form: Any, seed: int, sizes: list[int]) -> None:
    draws = np.random.default_rng(seed)
    running = [Running(own_measure(form, "mine")), Running(named_measure("mae"))]
    for rows in sizes:
        outputs, targets = (draws.normal(size=(rows, 3)).astype(np.float32) for _ in range(2))
        for each in running:
            each.update([outputs], targets, "batch")
    assert running[0].value == pytest.approx(running[1].value, rel=1e-5)


def test_an_object_is_not_changed_and_two_networks_do_not_mix() -> None:
    given = MeanOfErrors()
    given.update(np.ones(3), np.zeros(3))
    before, measure = copy.copy(vars(given)), own_measure(given, "mine")
    first, second = Running(measure), Running(measure)
    first.update([np.full(3, 5.0)], np.zeros(3), "batch")
    second.update([np.full(3, 2.0)], np.zeros(3), "batch")
    assert (first.value, second.value) == (5.0, 2.0)
    assert vars(given) == before


def test_what_a_metric_says_of_itself_is_read() -> None:
    assert own_measure(MeanOfErrors, "mine").higher_is_better is False
    assert own_measure(lambda: MeanOfErrors(), "mine").higher_is_better is False

    def share(outputs: Array, targets: Array) -> float:
        return 1.0

    assert own_measure(share, "mine").higher_is_better is None
    vars(share).update(unit="%", higher_is_better=True, of_classes=True)
    measure = own_measure(share, "mine")
    assert (measure.unit, measure.higher_is_better, measure.of_classes) == ("%", True, True)


def _of_three(a: Any, b: Any, c: Any) -> float:
    return 1.0


class Fixed(MeanOfErrors):
    """Cannot be made without arguments."""

    def __init__(self, classes: int) -> None:
        super().__init__()


class Held(MeanOfErrors):
    """Cannot be copied."""

    def __deepcopy__(self, memo: object) -> Any:
        raise RuntimeError("it holds a socket")


CALLED = (
    "metric 'mine' cannot be called with (outputs, targets); give an object with update(outputs, targets), compute()"
    " and reset(), or a function (outputs, targets) -> float"
)
GIVES = (
    "metric 'mine' gives {}; give an object with update(outputs, targets), compute() and reset(), or a function"
    " (outputs, targets) -> float"
)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (_of_three, CALLED),
        (7, CALLED),
        (dict, GIVES.format("a dict")),
        (lambda: None, GIVES.format("None")),
        (
            Fixed,
            "metric 'mine' cannot be made: Fixed.__init__() missing 1 required positional argument: 'classes'; name a"
            " function without arguments that gives it",
        ),
        (Held(), "metric 'mine' cannot be made: it holds a socket; name a function without arguments that gives it"),
    ],
)
def test_what_is_no_metric_is_refused(form: Callable[..., Any], told: str) -> None:
    with pytest.raises(RecipeError) as caught:
        own_measure(form, "mine")
    assert str(caught.value) == told


def test_a_function_that_gives_one_object_again_and_again_gives_each_network_its_own() -> None:
    shared = MeanOfErrors()
    measure = own_measure(lambda: shared, "mine")
    first, second = Running(measure), Running(measure)
    first.update([np.zeros(4)], np.zeros(4), "batch")
    second.update([np.ones(4)], np.zeros(4), "batch")
    assert (first.value, second.value) == (0.0, 1.0)


class Unready(MeanOfErrors):
    """It cannot be reset before it has seen anything."""

    def __init__(self) -> None:
        pass

    def reset(self) -> None:
        del self.sum


@pytest.mark.parametrize("found", [Unready, Unready()])
def test_a_metric_that_cannot_be_reset_is_refused_in_one_line(found: Any) -> None:
    with pytest.raises(RecipeError) as caught:
        own_measure(found, "mine")
    assert str(caught.value).endswith("; name a function without arguments that gives it")
    assert str(caught.value).startswith("metric 'mine' cannot be made: ")
