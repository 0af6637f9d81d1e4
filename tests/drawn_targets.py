"""Targets of any form, drawn: for the tests of what cuts and what digests them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

_NAMES = st.text("abc", min_size=1, max_size=3)


@st.composite
def arrays(draw: st.DrawFn, rows: int | None = None) -> Any:
    """Arrays of numbers, texts or objects, and tensors; with so many rows where that is said."""
    first = draw(st.integers(0, 3)) if rows is None else rows
    shape = (first, *draw(st.lists(st.integers(0, 2), max_size=2)))
    numbers = np.arange(np.prod(shape, dtype=int)).reshape(shape) * draw(st.sampled_from([1, 2, 5]))
    kind = draw(st.sampled_from(["int16", "float32", "float64", "bool", "str", "object", "tensor", "bfloat16"]))
    if kind == "tensor":
        return torch.from_numpy(numbers)
    return torch.from_numpy(numbers).bfloat16() if kind == "bfloat16" else numbers.astype(kind)


_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    st.text("ab", max_size=3),
    st.binary(max_size=2),
    arrays(),
)
ENTRIES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=3), st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=6,
)
"""What one sample may have."""


def targets_of_samples(rows: int) -> st.SearchStrategy[Any]:
    """Targets of so many samples."""
    entries = st.lists(ENTRIES.filter(lambda entry: entry is not None), min_size=rows, max_size=rows)
    return st.recursive(
        st.one_of(entries, arrays(rows)),
        lambda inner: st.one_of(
            st.dictionaries(_NAMES, inner, min_size=1, max_size=3), st.lists(inner, min_size=1, max_size=3).map(tuple)
        ),
        max_leaves=4,
    )
