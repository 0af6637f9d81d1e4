"""Rounding with gradients: the codes of NumPy, and the gradients of PyTorch's own learned quantizer."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.calibration import QuantParams
from edgecompress.quantization.aware.rounding_gradients import dequantize, quantize


def _values(seed: int, size: int = 257) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(0, 3, size).astype(np.float32), requires_grad=True)


@given(st.integers(0, 99), st.floats(1e-3, 0.5), st.integers(0, 255))
def test_codes_are_those_of_the_file(seed: int, step: float, zero: int) -> None:
    params = QuantParams(scale=np.array(step, np.float32), zero_point=np.array(zero, np.uint8))
    values = _values(seed)
    codes = quantize(values, torch.tensor(params.scale), torch.tensor(float(zero)), 0, 255)
    np.testing.assert_array_equal(codes.detach().numpy(), params.quantize(values.detach().numpy()))


@given(st.integers(0, 99), st.floats(1e-2, 0.5), st.integers(0, 255))
def test_gradients_are_those_of_the_learned_quantizer_of_pytorch(seed: int, start: float, zero: int) -> None:
    weights = torch.linspace(-1, 2, 257)
    found = []
    for ours in (True, False):
        values, step = _values(seed), torch.tensor([start], requires_grad=True)
        if ours:
            at = torch.tensor(float(zero))
            rounded = dequantize(quantize(values, step, at, 0, 255), step, at)
        else:
            rounded = torch._fake_quantize_learnable_per_tensor_affine(
                values, step, torch.tensor([float(zero)]), 0, 255, 1.0
            )
        (rounded * weights).sum().backward()  # type: ignore[no-untyped-call]
        assert values.grad is not None
        assert step.grad is not None
        found.append((rounded.detach(), values.grad, step.grad))
    for one_of_ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(one_of_ours, theirs, rtol=1e-3, atol=1e-3)


def test_each_channel_has_a_step_and_a_gradient_of_its_own() -> None:
    step = torch.tensor([[0.5], [0.25]], requires_grad=True)
    values = torch.tensor([[0.6, 9.0], [0.1, 0.3]], requires_grad=True)
    zero = torch.tensor(0.0)
    dequantize(quantize(values, step, zero, 0, 3), step, zero).sum().backward()  # type: ignore[no-untyped-call]
    assert step.grad is not None
    torch.testing.assert_close(step.grad, torch.tensor([[1 - 1.2 + 3], [0 - 0.4 + 1 - 1.2]]))
