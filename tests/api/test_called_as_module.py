"""A quantized model takes what code for modules does with it, or tells what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from edgecompress import ModelError, QuantizedModel, Quantizer
from tests.networks import LinearStack, seeded, vectors

ROWS = torch.randn(4, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def quantized() -> QuantizedModel:
    return Quantizer.static_quantize(seeded(LinearStack), vectors())


def test_numpy_gives_what_tensors_give(quantized: QuantizedModel) -> None:
    wanted = quantized(ROWS)
    for found in (quantized(ROWS.numpy()), quantized(features=ROWS.numpy()), quantized({"features": ROWS.numpy()})):
        assert isinstance(found, torch.Tensor)
        assert torch.equal(found, wanted)


def test_it_is_in_evaluation_mode_on_the_cpu(quantized: QuantizedModel) -> None:
    assert quantized.eval().cpu().to("cpu").to(torch.device("cpu")).train(False) is quantized
    lazy = Quantizer.dynamic_quantize(seeded(LinearStack))
    assert lazy.eval() is lazy


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda q: q.to("cuda"), "a quantized model runs on the CPU, and not as cuda; leave .to('cuda') out"),
        (lambda q: q.train(), "a quantized model is not trained; train the module that it was made from"),
        (
            lambda q: q.state_dict(),
            "a quantized model is an ONNX file, and has no state dict; save it with .save('model.onnx')",
        ),
        (
            lambda q: q.parameters(),
            "a quantized model is an ONNX file, and has no parameters; size_bytes is its size, inspect('model.onnx')"
            " lists its layers",
        ),
        (
            lambda q: q(ROWS[:, :5]),
            "'features' is float32 (4, 5), the quantized model takes float32 (batch, 32); give it as the module takes"
            " it",
        ),
        (
            lambda q: q(ROWS.double()),
            "'features' is float64 (4, 32), the quantized model takes float32 (batch, 32); give it as the module takes"
            " it",
        ),
        (lambda q: q([1, 2]), "'features' is a list; give a tensor or an array"),
    ],
)
def test_what_does_not_work_is_told(quantized: QuantizedModel, call: Callable[[Any], object], told: str) -> None:
    with pytest.raises(ModelError) as caught:
        call(quantized)
    assert str(caught.value).replace("(batch_size, ", "(batch, ") == told


def test_a_number_of_rows_of_its_own_is_taken(quantized: QuantizedModel) -> None:
    assert quantized(np.zeros((1, 32), np.float32)).shape[0] == 1
