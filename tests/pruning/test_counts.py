"""Counts are those of closed forms, and see through masks."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from edgecompress.pruning.counts import compare, count, count_macs, count_macs_by_module
from edgecompress.pruning.masks.mask import make_permanent, set_mask
from tests.networks import SIDE, ConvNet, LinearStack, images, seeded
from tests.pruning.networks import Tied, by_name, tokens

CONVNET_PARAMETERS = 3 * 8 * 9 + 16 + (8 * 16 * 9 + 16) + 32 + (16 * 10 + 10)


def _halve(model: nn.Module) -> None:
    for weight in by_name(model).values():
        keep = weight.keep.flatten()
        keep[::2] = False
        set_mask(weight.holders, keep.view(weight.value.shape))


def test_parameters_and_bytes_of_a_plain_model() -> None:
    model = seeded(ConvNet)
    counts = count(model)
    assert counts.parameters == CONVNET_PARAMETERS
    assert counts.nonzero == sum(int(parameter.count_nonzero()) for parameter in model.parameters())
    assert counts.macs is None
    assert counts.dense_bytes == len(save(model.state_dict()))
    assert counts.bitmask_bytes <= counts.dense_bytes


def test_macs_of_convolutions_and_linear_layers() -> None:
    wanted = SIDE**2 * 8 * 3 * 9 + (SIDE // 2) ** 2 * 16 * 8 * 9 + 16 * 10
    assert count(seeded(ConvNet), images(4)[0][0]).macs == count(seeded(ConvNet), images(1)[0][0]).macs == wanted
    assert count_macs(seeded(ConvNet), images(4)[0][0]) == 4 * wanted
    depthwise = nn.Conv2d(8, 8, 3, groups=8, padding=1)
    assert count(depthwise, torch.ones(1, 8, 5, 5)).macs == 25 * 8 * 9


def test_macs_of_attention_fused_or_not() -> None:
    rows, length, width = 2, 5, 16
    attention = length * 4 * width**2 + 2 * length**2 * width
    encoder = nn.TransformerEncoderLayer(width, 4, 32, batch_first=True).eval()
    assert count(encoder, torch.ones(rows, length, width)).macs == attention + length * 2 * width * 32
    assert torch.backends.mha.get_fastpath_enabled()
    plain = nn.MultiheadAttention(width, 4, batch_first=True)
    assert count(plain, (torch.ones(rows, length, width),) * 3).macs == attention

    class Functional(nn.Module):
        def forward(self, q: torch.Tensor) -> torch.Tensor:
            return scaled_dot_product_attention(q, q, q)

    assert count(Functional(), torch.ones(rows, 4, length, 4)).macs == 2 * length**2 * width


def test_a_shared_parameter_counts_once() -> None:
    counts = count(Tied(), tokens())
    assert counts.parameters == 20 * 8 + (3 * 8 * 8 + 24 + 8 * 8 + 8) + 16 + (8 * 8 + 8) + 8


def test_masks_and_zeros_count_alike() -> None:
    model, plain = seeded(ConvNet), seeded(ConvNet)
    _halve(model)
    masked = count(model, images(2)[0][0])
    with torch.no_grad():
        for weight in by_name(plain).values():
            weight.value.flatten()[::2] = 0
    assert masked == count(plain, images(2)[0][0])
    make_permanent(model)
    assert masked == count(model, images(2)[0][0])
    assert masked.parameters == CONVNET_PARAMETERS
    pruned = (3 * 8 * 9 + 8 * 16 * 9 + 16 * 10) // 2
    assert masked.nonzero == count(seeded(ConvNet)).nonzero - pruned


def test_counting_changes_nothing() -> None:
    model = seeded(ConvNet).train()
    _halve(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count(model, images(2)[0][0])
    assert model.training
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_takes_half_the_bytes(dtype: torch.dtype) -> None:
    whole, half = count(seeded(LinearStack)), count(seeded(LinearStack).to(dtype), torch.ones(1, 32, dtype=dtype))
    assert half.macs == 32 * 64 + 64 * 48 + 48 * 10
    assert whole.dense_bytes - half.dense_bytes == pytest.approx(2 * whole.parameters, abs=100)


def test_ratios_tell_the_dense_file_from_the_one_without_zeros() -> None:
    model = seeded(LinearStack)
    original = count(model)
    _halve(model)
    figures = compare(original, count(model))
    assert figures["original_params"] == figures["current_params"] == original.parameters
    assert figures["dense_compression_ratio"] == 1
    weights, biases = 32 * 64 + 64 * 48 + 48 * 10, 64 + 48 + 10
    exact = 4 * (weights + biases) / (4 * (weights / 2 + biases) + weights / 8)
    assert figures["compression_ratio"] == pytest.approx(exact, rel=0.05)  # the headers of the files
    assert compare(original, original)["compression_ratio"] == pytest.approx(1, rel=0.01)


def test_macs_by_module_are_those_of_each_part_alone() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Flatten(), nn.Linear(4 * 36, 5)))
    found = count_macs_by_module(network, torch.zeros(2, 3, 8, 8))
    assert found == {"": 0, "0": 2 * 4 * 36 * 27, "1": 0, "1.0": 0, "1.1": 2 * 144 * 5}
    assert sum(found.values()) == count_macs(network, torch.zeros(2, 3, 8, 8))


def test_what_a_module_multiplies_itself_is_not_that_of_its_parts() -> None:
    found = count_macs_by_module(nn.MultiheadAttention(8, 2), (torch.zeros(5, 1, 8),) * 3)
    assert found[""] == 5 * 8 * 24 + 2 * 2 * 5 * 5 * 4 + 5 * 8 * 8  # out_proj is called by its weight
    assert found["out_proj"] == 0
