"""What acts in training alone is part of what a network is, and two loads of a network have the same."""

from __future__ import annotations

import enum
import functools
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import spectral_norm

from edgecompress.comparison.training_state import training_state
from tests.exporters.graphs import graph
from tests.networks import ConvNet, seeded


class Kind(enum.Enum):
    MEAN = "mean"
    MAX = "max"


class Settings:
    """Values of a network's own, with a type, as those of libraries have."""

    def __init__(self, rate: float) -> None:
        self.rate, self.type, self.act = rate, torch.float32, nn.functional.relu


class Held(nn.Linear):
    """A layer with an attribute that nothing but its training reads."""

    def __init__(self, held: Any) -> None:
        super().__init__(2, 2)
        self.held = held


def _scaled(factor: float) -> Callable[[Any], Any]:
    return lambda x: x * factor


def _state(network: Any) -> str:
    found = training_state(network)
    assert found.whole
    return found.digest


OTHERS: list[tuple[Any, Any]] = [
    (0.1, 0.9),
    ({"p": [0.1]}, {"p": [0.2]}),
    ((1, 2), [1, 2]),
    ({"a"}, {"b"}),
    (Kind.MEAN, Kind.MAX),
    (nn.functional.relu, nn.functional.gelu),
    (torch.relu, torch.tanh),
    (nn.ReLU, nn.GELU),
    (torch.float16, torch.float32),
    (torch.zeros(2), torch.ones(2)),
    (Settings(0.1), Settings(0.2)),
    (_scaled(1.0), _scaled(2.0)),
    (functools.partial(_scaled, 1.0), functools.partial(_scaled, 2.0)),
    ([nn.Dropout(0.1)], [nn.Dropout(0.2)]),
    (Settings(0.1).__init__, Settings(0.2).__init__),  # type: ignore[misc]
]


@pytest.mark.parametrize(("first", "second"), OTHERS, ids=lambda value: type(value).__name__)
def test_another_attribute_is_another_state(first: Any, second: Any) -> None:
    assert _state(Held(first)) == _state(Held(first)) != _state(Held(second))


def test_what_is_trained_and_the_mode_of_each_module_count() -> None:
    network, frozen, off = seeded(ConvNet), seeded(ConvNet), seeded(ConvNet)
    frozen.get_submodule("classifier").requires_grad_(False)
    off.get_submodule("classifier").train()
    assert not network.training
    assert len({_state(network), _state(seeded(ConvNet)), _state(frozen), _state(off)}) == 3
    assert _state(network) == _state(seeded(ConvNet, 1)), "weights count elsewhere"


def test_dropout_that_a_layer_has_as_a_number_counts() -> None:
    first, again, other = (nn.MultiheadAttention(8, 2, dropout=p) for p in (0.1, 0.1, 0.5))
    assert _state(first) == _state(again) != _state(other)


def test_hooks_count_without_their_numbers() -> None:
    def hooked(factor: float) -> nn.Module:
        network = nn.Linear(2, 2)
        network.register_forward_pre_hook(lambda _, given: tuple(each * factor for each in given))
        return network

    assert _state(hooked(1.0)) == _state(hooked(1.0)) != _state(hooked(2.0))
    assert _state(spectral_norm(nn.Linear(2, 2))) != _state(nn.Linear(2, 2))


@pytest.mark.parametrize("held", [threading.Lock(), object(), iter([1])])
def test_what_has_no_values_leaves_the_rest(held: Any) -> None:
    network, other = Held(held), Held(held)
    other.requires_grad_(False)
    assert not training_state(network).whole
    assert training_state(network) != training_state(other)


def test_what_holds_itself_ends() -> None:
    held: list[Any] = []
    held.append(held)
    assert not training_state(Held(held)).whole


def test_a_program_tells_what_is_trained_and_a_file_nothing() -> None:
    example = (torch.rand(2, 3, 16, 16),)
    network = seeded(ConvNet)
    first = _state(torch.export.export(network, example))
    network.requires_grad_(False)
    assert first != _state(torch.export.export(network, example))
    assert _state(graph("y = Neg(x)")) == _state(graph("y = Abs(x)"))


def test_it_is_the_same_in_every_process() -> None:
    code = (
        "from tests.comparison.test_training_state import *\n"
        "print(training_state(nn.Sequential(*(Held(each) for pair in OTHERS for each in pair))).digest)"
    )
    found = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    }
    assert len(found) == 1
    assert found != {""}
