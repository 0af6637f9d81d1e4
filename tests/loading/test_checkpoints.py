"""The tensors of a module are found in a checkpoint, wherever they stand and whatever stands before their names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.loading.checkpoints import fitting_states, nearest_state

names = st.from_regex(r"[a-z]{1,3}(\.[a-z0-9]{1,2}){0,2}", fullmatch=True)
prefixes = st.sampled_from(["", "module.", "_orig_mod.", "model.", "ema.module.", "net.0."])
keys = st.lists(st.sampled_from(["state_dict", "net", "ema", "model"]), max_size=3)
states = st.dictionaries(names, st.integers(1, 4), min_size=1, max_size=5)


def _state(widths: dict[str, int], seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(width, generator=generator) for name, width in widths.items()}


def _renamed(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in state.items()}


def _nested(value: Any, at: list[str]) -> Any:
    for key in reversed(at):
        value = {key: value, "epoch": 3, "optimizer": {"state": {0: {"momentum": torch.zeros(9)}}}}
    return value


@given(states, prefixes, prefixes, keys)
def test_it_is_found_behind_any_prefix_in_any_mapping(
    widths: dict[str, int], before: str, own_prefix: str, at: list[str]
) -> None:
    state = _state(widths)
    own = _renamed(_state(widths, 1), own_prefix)
    found = fitting_states(_nested(_renamed(state, before), at), own)
    assert len(found) == 1
    assert found[0].keys == tuple(at)
    assert found[0].tensors.keys() == own.keys()
    assert all(found[0].tensors[own_prefix + name] is value for name, value in state.items())


@given(states, keys)
def test_other_tensors_in_its_mapping_are_left_out_where_its_own_have_a_prefix(
    widths: dict[str, int], at: list[str]
) -> None:
    state = _state(widths)
    mapping = {**_renamed(state, "student."), "criterion_weight": torch.ones(7)}
    (found,) = fitting_states(_nested(mapping, at), _state(widths, 1))
    assert (found.prefix, found.left_out, found.is_plain) == ("student.", 1, False)


@given(states)
def test_two_that_differ_are_two_and_copies_are_one(widths: dict[str, int]) -> None:
    state, other = _state(widths), _state(widths, 1)
    assert len(fitting_states({"net": state, "ema": _renamed(other, "module.")}, state)) == 2
    copy = {name: value.clone() for name, value in state.items()}
    assert len(fitting_states({"net": state, "ema": copy}, state)) == 1


@given(states, prefixes)
def test_another_shape_and_a_missing_name_do_not_fit(widths: dict[str, int], prefix: str) -> None:
    state = _renamed(_state(widths), prefix)
    first = next(iter(widths))
    assert fitting_states({"net": state}, _state({**widths, first: widths[first] + 1})) == []
    assert fitting_states({"net": state}, _state({**widths, "zzzz": 1})) == []


@pytest.mark.parametrize("checkpoint", [3, [torch.ones(2)], {}, {"epoch": 3}, {0: torch.ones(2)}])
def test_what_holds_no_tensors_under_names_is_not_taken(checkpoint: object) -> None:
    assert fitting_states(checkpoint, {"weight": torch.ones(2)}) == []
    assert nearest_state(checkpoint, {"weight": torch.ones(2)}) is None


def test_the_nearest_state_is_the_one_with_most_names_of_the_module() -> None:
    own = {"a.weight": torch.ones(2), "a.bias": torch.ones(2)}
    checkpoint = {"net": {"module.a.weight": torch.ones(2)}, "optimizer": {"weight": torch.ones(2)}}
    assert nearest_state(checkpoint, own) == {"a.weight": checkpoint["net"]["module.a.weight"]}
