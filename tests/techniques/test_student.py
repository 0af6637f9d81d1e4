"""A student that is derived: as fast as the budgets ask, and with as much work as that allows."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir
import pytest
import torch
from torch import nn

from edgecompress.errors import RecipeError
from edgecompress.pruning.channels.structured import Pruned, Subject
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.tables import parse_recipe
from edgecompress.techniques import cutting, student
from edgecompress.techniques.context import Context
from edgecompress.techniques.student import allowed_ms, derive_student
from edgecompress.timing.latency import Latency
from tests.networks import ConvNet, images, seeded
from tests.techniques.contexts import Blocks, context

WHOLE = Latency(median_ms=6.0, p95_ms=9.0, p99_ms=12.0)


@pytest.mark.parametrize(
    ("budgets", "allowed"),
    [
        (Budgets(), None),
        (Budgets(max_accuracy_drop=1.0), None),
        (Budgets(min_speedup=2.0), 3.0),
        (Budgets(min_speedup=2.0, max_latency_ms=2.5), 2.5),
        (Budgets(max_latency_p95_ms=3.0), 2.0),
        (Budgets(max_latency_p99_ms=3.0, min_speedup=2.0), 1.5),
    ],
)
def test_the_tightest_budget_counts(budgets: Budgets, allowed: float | None) -> None:
    assert allowed_ms(budgets, WHOLE) == allowed


def _context(network: nn.Module, min_speedup: float | None, checkpoints: Path | None = None) -> Context:
    budgets = {} if min_speedup is None else {"min_speedup": min_speedup}
    recipe = parse_recipe({"pruning": {"multiple": 1}, "budgets": budgets})
    return context(network, recipe, "calibration", checkpoints=checkpoints)


def _weights(model: ir.Model) -> int:
    return sum(int(value.const_value.size) for value in model.graph.initializers.values() if value.const_value)


@pytest.fixture(autouse=True)
def counting_clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A machine that takes a microsecond for each weight; how many models it was asked for at a time."""
    asked: list[int] = []

    def time_models(models: Sequence[ir.Model], _context: Context) -> list[Latency]:
        asked.append(len(models))
        times = [_weights(model) / 1e3 for model in models]
        return [Latency(median_ms=time, p95_ms=time, p99_ms=time) for time in times]

    for place in (cutting, student):
        monkeypatch.setattr(place, "time_models", time_models)
    return asked


@pytest.mark.parametrize("kind", [ConvNet, Blocks])
def test_it_is_as_fast_as_asked_and_hardly_faster(kind: type[nn.Module]) -> None:
    network = seeded(kind)
    before = copy.deepcopy(network.state_dict())
    given = _context(network, 2.0)
    found = derive_student(network, given)
    left = found.parameters / sum(parameter.numel() for parameter in network.parameters())
    assert 0.3 < left <= 0.5
    assert not found.slow
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with torch.no_grad():
        image = images(rows=2, batches=1)[0][0]
        assert found.model(image).shape == network(image).shape


@pytest.mark.parametrize(("enough", "tried"), [(16, [16]), (8, [16, 8]), (4, [16, 8, 4])])
def test_a_multiple_that_is_too_coarse_is_halved(
    monkeypatch: pytest.MonkeyPatch, enough: int, tried: list[int]
) -> None:
    asked: list[int] = []

    def cut(subject: Subject, _share: float, _name: str, given: Context) -> Pruned:
        asked.append(given.recipe.pruning.multiple)
        if asked[-1] > enough:
            raise RecipeError("the goal cannot be met; lower it")
        return Pruned(model=subject.module, removed={}, refusals=())

    monkeypatch.setattr(student, "cut", cut)
    network = seeded(ConvNet)
    recipe = parse_recipe({"pruning": {"multiple": 16}, "budgets": {"min_speedup": 2.0}})
    found = derive_student(network, context(network, recipe, "calibration"))
    assert (found.multiple, found.slow, asked) == (enough, False, tried)


def test_a_run_that_goes_on_measures_nothing_again(tmp_path: Path, counting_clock: list[int]) -> None:
    network = seeded(Blocks)
    first = derive_student(network, _context(network, 2.0, tmp_path))
    done = len(counting_clock)
    again = derive_student(network, _context(network, 2.0, tmp_path))
    assert len(counting_clock) == done
    assert {name: value.shape for name, value in first.model.state_dict().items()} == {
        name: value.shape for name, value in again.model.state_dict().items()
    }


def test_without_a_latency_budget_there_is_no_student() -> None:
    network = seeded(ConvNet)
    with pytest.raises(
        RecipeError,
        match=r"^a student is derived to meet a latency budget;"
        r" give a teacher \(--teacher\), or set budgets\.min_speedup=2$",
    ):
        derive_student(network, _context(network, None))


def test_what_cannot_be_reached_is_said() -> None:
    network = seeded(ConvNet)
    with pytest.raises(
        RecipeError, match=r"no student is fast enough .* cannot be met: at most .* can go; loosen the budgets"
    ):
        derive_student(network, _context(network, 1e4))
