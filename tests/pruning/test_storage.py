"""Files hold every tensor once, and what leaves the zeros out can be read back."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load
from torch import Tensor, nn

from edgecompress.pruning.storage import BITS, VALUES, bitmask_file, dense_file, stored_tensors
from tests.networks import ConvNet, seeded
from tests.pruning.networks import Tied


def _decode(file: bytes) -> dict[str, Tensor]:
    """From the documented format alone."""
    header = json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])
    shapes = header.get("__metadata__", {})
    stored = load(file)
    decoded = {name: value for name, value in stored.items() if not name.endswith((BITS, VALUES))}
    for name, text in shapes.items():
        shape = [int(size) for size in text.split(",")]
        nonzero = np.unpackbits(stored[name + BITS].numpy(), count=int(np.prod(shape))).astype(bool).reshape(shape)
        values = stored[name + VALUES]
        decoded[name] = torch.zeros(shape, dtype=values.dtype).masked_scatter(torch.from_numpy(nonzero), values)
    return decoded


def _same(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[name], value) for name, value in wanted.items())


@given(
    st.lists(st.integers(0, 15), max_size=3),
    st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64]),
    st.floats(0, 1),
    st.integers(0, 2**32),
)
def test_what_is_left_out_comes_back(shape: list[int], dtype: torch.dtype, density: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    tensor = (torch.randn(shape, generator=generator) * 9).to(dtype)
    tensors = {"a": tensor * (torch.rand(shape, generator=generator) < density), "b": torch.tensor(2)}
    assert _same(_decode(bitmask_file(tensors)), tensors)


@pytest.mark.parametrize("sparsity", [0.0, 0.25, 0.5, 0.9])
def test_the_size_is_a_bit_for_each_and_four_bytes_for_each_that_is_left(sparsity: float) -> None:
    tensor = torch.ones(40000)
    tensor[: int(40000 * sparsity)] = 0
    wanted = 160000 if sparsity == 0 else 40000 / 8 + 4 * 40000 * (1 - sparsity)
    assert wanted < len(bitmask_file({"x": tensor})) < wanted + 300  # names and shapes
    assert 160000 < len(dense_file({"x": tensor})) < 160000 + 300


def test_a_shared_tensor_is_stored_once() -> None:
    stored = stored_tensors(Tied())
    assert "embedding.weight" in stored
    assert "head.weight" not in stored
    assert _same(load(dense_file(stored)), stored)


def test_buffers_and_memory_formats_are_stored() -> None:
    model = seeded(ConvNet)
    for parameter in model.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.to(memory_format=torch.channels_last)
    model.register_buffer("expanded", torch.ones(1).expand(5))
    model.register_buffer("passing", torch.ones(5), persistent=False)
    stored = load(dense_file(stored_tensors(model)))
    assert stored.keys() == model.state_dict().keys()
    assert _same(stored, model.state_dict())


def test_what_is_no_tensor_is_left_out() -> None:
    class Extra(nn.Linear):
        def get_extra_state(self) -> str:
            return "text"

    assert stored_tensors(Extra(2, 2)).keys() == {"weight", "bias"}
