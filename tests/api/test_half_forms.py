"""Values as people write them mean the same in Python as on the command line."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgecompress import LowRankDecomposition, ModelPruner, Quantizer, recommend
from edgecompress.errors import RecipeError
from tests.networks import ConvNet, images, seeded

IMAGES = images(rows=32, batches=4)


def _layers() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))


@pytest.mark.parametrize(("written", "scheme"), [("x86", "fbgemm"), ("QNNPACK", "qnnpack"), ("arm", "qnnpack")])
def test_a_scheme_by_another_of_its_names(written: str, scheme: str) -> None:
    named, plain = (
        Quantizer.static_quantize(seeded(ConvNet), IMAGES, scheme=each, observer=observer)  # type: ignore[arg-type]
        for each, observer in ((written, "MinMax"), (scheme, "min_max"))
    )
    assert named.artifact == plain.artifact


def test_shares_in_percent() -> None:
    assert ModelPruner(_layers()).magnitude_pruning("50%").metrics["sparsity"] == 0.5  # type: ignore[arg-type]
    decomposed = LowRankDecomposition.decompose_linear(nn.Linear(32, 32), "25%")  # type: ignore[arg-type]
    assert isinstance(decomposed, nn.Sequential)
    assert decomposed[0].weight.shape == (8, 32)
    whole = LowRankDecomposition.apply_to_model(_layers(), "25 %", multiple=1).model  # type: ignore[arg-type]
    assert whole[0][0].weight.shape == (8, 32)  # type: ignore[index]


def test_what_means_nothing_is_refused_as_it_was_written() -> None:
    with pytest.raises(RecipeError, match=r"^sparsity is '5ms'; give a number from 0"):
        ModelPruner(_layers()).magnitude_pruning("5ms")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"got 'int8' in 'scheme'; what the integers mean: fbgemm .* both are INT8$"):
        Quantizer.static_quantize(seeded(ConvNet), IMAGES, scheme="int8")  # type: ignore[arg-type]


def test_limits_with_their_units() -> None:
    written = recommend(max_size_mb="300kB", max_latency_ms="5ms", max_accuracy_drop="1%")  # type: ignore[arg-type]
    plain = recommend(max_size_mb=0.3, max_latency_ms=5, max_accuracy_drop=1)
    assert written.constraints == plain.constraints
    with pytest.raises(RecipeError, match="expected number, got '5ms' in 'max_size_mb'"):
        recommend(max_size_mb="5ms")  # type: ignore[arg-type]
