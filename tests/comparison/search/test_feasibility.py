"""A budget that no recipe can keep is named before anything is tried, and none that one keeps."""

from __future__ import annotations

import re
from pathlib import Path

import onnx_ir as ir
import pytest
import torch
from torch import nn

import edgecompress
from edgecompress.bundle.reading import Bundle
from edgecompress.comparison.search.feasibility import can_shrink, least_bytes, require_room
from edgecompress.comparison.search.space import make_space
from edgecompress.data.batches import Batches, InputNames
from edgecompress.errors import RecipeError
from edgecompress.pipeline.fold import float_original
from edgecompress.recipe.tables import Recipe
from edgecompress.targets import effective_profile
from tests.comparison.search.conftest import QUICK
from tests.networks import ConvNet, seeded
from tests.techniques.contexts import batches

WEIGHTS = 8 * 3 * 9 + 16 * 8 * 9 + 16 * 10
"""Of the two convolutions and the classifier of the network."""
WITHOUT = ("calibration", "evaluation")


@pytest.fixture(scope="module")
def original() -> ir.Model:
    return float_original(seeded(ConvNet), Recipe(), batches("calibration").first())


def test_the_weights_of_products_are_counted(original: ir.Model) -> None:
    assert least_bytes(original) == WEIGHTS


class Tied(nn.Module):
    """Two layers with equal weights that are not the same tensor, and one with weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        self.second.load_state_dict(self.first.state_dict())
        self.last = nn.Linear(64, 10)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.last(self.second(self.first(features).relu()).relu())
        return scores


def test_equal_weights_count_once_as_the_file_holds_them(tmp_path: Path) -> None:
    network = seeded(Tied)
    drawn = torch.Generator().manual_seed(1)
    data = [(torch.randn(8, 64, generator=drawn), torch.randint(0, 10, (8,), generator=drawn)) for _ in range(2)]
    names = InputNames(names=("features",), required=1)
    example = Batches(role="evaluation", source=lambda: data, inputs=names, use_labels=True).first()
    least = least_bytes(float_original(network, Recipe(), example))
    assert least == 64 * 64 + 64 * 10
    bundle = edgecompress.compress(network, calibration=data, evaluation=data, overrides=QUICK, output=tmp_path / "out")
    assert least < bundle.artifact.stat().st_size < least + 64 * 64


def test_no_bundle_is_smaller(original: ir.Model, made: Bundle) -> None:
    assert made.artifact.stat().st_size > least_bytes(original)


@pytest.mark.parametrize(
    ("budget", "kept", "told"),
    [
        (
            "max_size_mb",
            0.002,
            "no recipe keeps budgets.max_size_mb=0.001: the weights alone have 1.5 kB as INT8, and nothing of"
            " this space takes some away; set budgets.max_size_mb=0.002 or more, or give a module with"
            " training data (--train)",
        ),
        (
            "min_compression_ratio",
            4,
            "no recipe keeps budgets.min_compression_ratio=9: the weights alone have 1.5 kB as INT8, and nothing of"
            " this space takes some away; set budgets.min_compression_ratio=4.7 or less, or give a module with"
            " training data (--train)",
        ),
    ],
)
def test_a_budget_below_that_is_named(budget: str, kept: float, told: str, original: ir.Model) -> None:
    broken = {"max_size_mb": 0.001, "min_compression_ratio": 9}[budget]
    for value in (broken, kept):
        profile = effective_profile("mobile", ["budgets.min_compression_ratio=none", f"budgets.{budget}={value}"])
        space = make_space(profile, WITHOUT)
        if value == broken:
            with pytest.raises(RecipeError, match=f"^{re.escape(told)}$"):
                require_room(space, original, original_bytes=7300)
        else:
            require_room(space, original, original_bytes=7300)


@pytest.mark.parametrize(
    ("target", "roles", "expected"),
    [
        ("mobile", WITHOUT, False),
        ("mobile", (*WITHOUT, "train"), True),
        ("edge", WITHOUT, True),
        ("realtime", (*WITHOUT, "train"), True),
    ],
)
def test_what_can_be_cut_has_no_such_bound(target: str, roles: tuple[str, ...], expected: bool) -> None:
    assert can_shrink(make_space(effective_profile(target), roles)) is expected


def test_an_onnx_file_cannot_be_cut() -> None:
    assert not can_shrink(make_space(effective_profile("mobile"), (*WITHOUT, "train"), module=False))
