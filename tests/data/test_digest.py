"""The digest of targets: what is equal has the same one, what differs another."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.data.digest import digest_of
from edgecompress.errors import DataError
from tests.drawn_targets import ENTRIES


@dataclass
class Box:
    corners: tuple[int, ...]
    name: str


class Mask:
    def __init__(self, pixels: Any) -> None:
        self.pixels = pixels


def _written(value: Any) -> Any:
    """Everything that counts of a value, in a form that Python can compare."""
    if isinstance(value, torch.Tensor):
        value = value.float().numpy() if value.dtype is torch.bfloat16 else value.numpy()
        return _written(value) if value.dtype != np.float32 else ("tensor", _written(value))
    if isinstance(value, np.ndarray):
        cells = [_written(cell) if value.dtype == object else repr(cell) for cell in value.ravel().tolist()]
        return ("array", str(value.dtype), value.shape, cells)
    if isinstance(value, dict):
        return ("dict", sorted((key, repr(_written(part))) for key, part in value.items()))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [_written(part) for part in value])
    return (type(value).__name__, repr(value))


def _again(value: Any) -> Any:
    """The same of new objects, dicts in another order, arrays of another layout, tensors for arrays."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, np.ndarray):
        own = np.asfortranarray(value.copy())
        return torch.from_numpy(own.copy()) if value.dtype.kind in "fib" else own
    if isinstance(value, dict):
        return {key: _again(value[key]) for key in reversed(value)}
    if isinstance(value, (list, tuple)):
        return type(value)(_again(part) for part in value)
    return copy.deepcopy(value)


@given(ENTRIES)
def test_what_is_equal_has_the_same_digest(value: Any) -> None:
    assert digest_of(value) == digest_of(_again(value))


@given(ENTRIES, ENTRIES)
def test_what_differs_has_another(first: Any, second: Any) -> None:
    assert (digest_of(first) == digest_of(second)) == (_written(first) == _written(second))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["ab", "c"], ["a", "bc"]),
        ([["a"], []], [[], ["a"]]),
        ([1, 2], (1, 2)),
        (1, True),
        (1, 1.0),
        ("1", 1),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(2, np.float32), np.zeros(2, np.float64)),
        (Box((1, 2), "a"), Box((1, 2), "b")),
        (Mask([1]), Mask([2])),
        (torch.ones(2).bfloat16(), torch.zeros(2).bfloat16()),
        (Path("a"), Path("b")),
        ({1, 2}, {1, 3}),
    ],
)
def test_nothing_is_taken_for_something_else(first: Any, second: Any) -> None:
    assert digest_of(first) != digest_of(second)


@pytest.mark.parametrize("value", [torch.zeros(4, 3)[0:0, 1], torch.zeros(6)[::2][:0], torch.arange(6.0)[::2]])
def test_strides_do_not_count(value: torch.Tensor) -> None:
    whole = torch.tensor(value.tolist(), dtype=torch.bfloat16)
    assert digest_of(value.bfloat16()) == digest_of(value.to(torch.float32).bfloat16()) == digest_of(whole)
    strided = torch.zeros((*value.shape, 2), dtype=torch.bfloat16)[..., 1].copy_(value)
    assert digest_of(strided) == digest_of(whole)


VALUE = "[{'a': numpy.arange(3), 'b': ('x', 1.5, None)}, {'p', 'q', 'r', 's'}, torch.ones(2)]"


def test_it_is_the_same_in_every_process() -> None:
    code = f"import numpy, torch; from edgecompress.data.digest import digest_of; print(digest_of({VALUE}).hex())"
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout.strip() == digest_of(eval(VALUE, {"numpy": np, "torch": torch})).hex()


def _endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([len], "targets hold a builtins.builtin_function_or_method, whose values cannot be read; give dicts, lists,"
                " arrays, texts and numbers"),
        (_endless(), "targets hold themselves; give dicts, lists, arrays, texts and numbers"),
        (torch.zeros(2).to_sparse(), "targets hold a tensor of torch.float32 that is no array; give dense tensors"),
    ],
)  # fmt: skip
def test_what_has_no_values_is_refused(value: Any, told: str) -> None:
    with pytest.raises(DataError) as caught:
        digest_of(value)
    assert str(caught.value) == told


@given(st.floats(allow_nan=True))
def test_numbers_of_numpy_are_arrays_of_one_number(value: float) -> None:
    assert digest_of(np.float64(value)) == digest_of(np.array(value)) != digest_of(value)
