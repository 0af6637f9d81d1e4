"""Layers in the place of one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgecompress.errors import ModelError
from edgecompress.pruning.reload.blueprint import Factor, blueprint_of
from edgecompress.pruning.reload.factored_layers import is_layer, make_row
from edgecompress.pruning.reload.file_header import Stored

WIDE = Factor(kind="Linear", inputs=6, outputs=2, bias=False)
BACK = Factor(kind="Linear", inputs=2, outputs=4, bias=True)
SHAPES = {"a.0.weight": (2, 6), "a.1.weight": (4, 2), "a.1.bias": (4,)}


def _stored(**shapes: tuple[int, ...]) -> Stored:
    known = {**SHAPES, **{name.replace("_", "."): shape for name, shape in shapes.items()}}
    return Stored(name="file", blueprint=blueprint_of(nn.ReLU()), shapes=known, floating=frozenset())


def test_the_layers_are_like_the_one() -> None:
    layer = nn.Linear(6, 4).half().eval()
    layer.bias.requires_grad_(False)
    row = make_row("a", layer, (WIDE, BACK), _stored())
    assert [tuple(parameter.shape) for parameter in row.parameters()] == [(2, 6), (4, 2), (4,)]
    assert all(parameter.dtype is torch.float16 for parameter in row.parameters())
    assert [parameter.requires_grad for parameter in row.parameters()] == [True, True, False]
    assert not row.training
    assert not row[1].training


def test_a_layer_is_no_larger_than_what_the_file_holds() -> None:
    huge = Factor(kind="Linear", inputs=6, outputs=2**40, bias=False)
    with pytest.raises(ModelError, match=r"\('a.0.weight' is not of the size that its layer has\)"):
        make_row("a", nn.Linear(6, 4), (huge, BACK), _stored())


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (Factor(kind="Conv2d", inputs=6, outputs=2, bias=False, kernel=(1, 1), groups=0), "that PyTorch does not know"),
        (Factor(kind="Conv2d", inputs=6, outputs=2, bias=False, kernel=(1, 1), groups=4), "that PyTorch does not know"),
        (Factor(kind="Linear", inputs=-6, outputs=2, bias=False), "that PyTorch does not know"),
        (Factor(kind="Linear", inputs=6, outputs=2, bias=True), "'a' has no bias"),
    ],
)
def test_parts_that_make_no_layer_are_refused(factor: Factor, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        make_row("a", nn.Linear(6, 4, bias=False), (factor, BACK), _stored())


def test_a_layer_is_of_pytorchs_own_kinds() -> None:
    assert is_layer(nn.Linear(2, 2))
    assert not is_layer(nn.modules.linear.NonDynamicallyQuantizableLinear(2, 2))
    assert not is_layer(nn.Conv3d(2, 2, 1))
