"""Inputs have names, in whatever way ``forward`` takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgecompress
from edgecompress.errors import ModelError
from edgecompress.modules.named_inputs import input_names, name_inputs
from edgecompress.runtime import open_session
from tests.networks import ConvNet, TwoInputs, seeded


class _Unnamed(nn.Module):
    def forward(self, *inputs: Tensor) -> Tensor:
        return inputs[0]


class _Optional(nn.Module):
    def forward(self, image: Tensor, mask: Tensor | None = None, *, bias: Tensor | None = None) -> Tensor:
        return image if mask is None else image * mask


def test_inputs_are_named_after_the_parameters_of_forward() -> None:
    assert input_names(seeded(TwoInputs)).names == ("features", "token")
    names = input_names(_Optional())
    assert (names.names, names.required) == (("image", "mask", "bias"), 1)


def test_inputs_without_names_are_refused() -> None:
    with pytest.raises(ModelError, match=r"write forward\(self, x, ...\)"):
        input_names(_Unnamed())


class _OneDict(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 5)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"scores": self.head(batch["left"] * batch["right"])}


def _one_dict() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return _OneDict().eval()


def _dicts() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [{name: torch.randn(4, 8, generator=generator) for name in ("left", "right")} for _ in range(3)]


def test_a_module_that_takes_one_dict_gets_an_input_for_each_key(tmp_path: Path) -> None:
    bundle = edgecompress.compress(_one_dict(), calibration=_dicts(), output=tmp_path / "bundle")
    session = open_session(bundle.artifact, threads=1)
    assert [spec.name for spec in session.get_inputs()] == ["left", "right"]
    assert [spec.shape for spec in session.get_inputs()] == [["batch", 8], ["batch", 8]]
    batch = _dicts()[0]
    (found,) = session.run(["scores"], {name: value.numpy() for name, value in batch.items()})
    with torch.no_grad():
        wanted = _one_dict()(batch)["scores"].numpy()
    np.testing.assert_allclose(found, wanted, atol=0.05 * np.abs(wanted).max())


def test_a_quantized_model_takes_the_dict_as_the_original_does() -> None:
    batch = _dicts()[0]
    static = edgecompress.Quantizer.static_quantize(_one_dict(), _dicts())
    dynamic = edgecompress.Quantizer.dynamic_quantize(_one_dict())
    with torch.no_grad():
        wanted = _one_dict()(batch)["scores"]
    for quantized in (static, dynamic):
        torch.testing.assert_close(quantized(batch)["scores"], wanted, rtol=0, atol=0.05 * float(wanted.abs().max()))


@pytest.mark.parametrize("raw", [torch.zeros(1), {"image": torch.zeros(1)}, {"picture": torch.zeros(1)}])
def test_other_batches_leave_a_module_as_it_is(raw: object) -> None:
    network = seeded(ConvNet)
    assert name_inputs(network, lambda: [raw]) is network
