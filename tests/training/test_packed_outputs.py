"""Rows as bytes: nothing is lost, and samples that differ are told apart."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from edgecompress.errors import RecipeError
from edgecompress.training.packed_outputs import RowForm, digests, pack

CPU = torch.device("cpu")
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool)


def _values(dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).mul(3).abs().to(dtype)


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(1, 3), max_size=3)), min_size=1, max_size=4),
)
def test_rows_come_back_bit_by_bit_in_any_order(rows: int, kinds: list[tuple[torch.dtype, list[int]]]) -> None:
    values = [_values(dtype, rows, *shape) for dtype, shape in kinds]
    form = RowForm.of({"first": values[0], "rest": values[1:]}, rows)
    packed = [row.tobytes() for row in pack(values)]
    assert {len(row) for row in packed} == {form.row_bytes}
    found = RowForm.from_json(form.to_json()).unpack(packed[::-1], CPU)
    for own, wanted in zip([found["first"], *found["rest"]], values, strict=True):
        assert own.dtype is wanted.dtype
        assert torch.equal(own.flip(0), wanted)


@pytest.mark.parametrize("outputs", [(), torch.zeros(()), torch.zeros(3), {"a": torch.zeros(2), "b": "text"}, None])
def test_what_has_not_two_rows_of_tensors_is_refused(outputs: object) -> None:
    with pytest.raises(RecipeError, match="not all tensors with the batch first; leave cache out"):
        RowForm.of(outputs, 2)


def test_name_dtype_shape_and_value_tell_samples_apart() -> None:
    zeros = torch.zeros(1, 4)
    several = [
        {"x": zeros},
        {"y": zeros},
        {"x": zeros.int()},
        {"x": zeros[:, :, None]},
        {"x": zeros + 1},
        {"x": zeros, "scale": torch.zeros(3)},
        {"x": zeros, "scale": torch.ones(3)},
        {"x": zeros, "y": zeros},
    ]
    keys = [key for inputs in several for key in digests(inputs)]
    assert len(set(keys)) == len(several)


def test_order_and_layout_do_not() -> None:
    images = torch.randn(3, 2, 4, 4)
    keys = digests({"x": images, "y": images[:, 0]})
    assert digests({"y": images[:, 0], "x": images.contiguous(memory_format=torch.channels_last)}) == keys
    assert digests({"x": images.flip(0), "y": images[:, 0].flip(0)}) == keys[::-1]
    with torch.autocast("cpu"):
        assert not set(digests({"x": images, "y": images[:, 0]})) & set(keys)
