"""A blueprint says what a network is beyond its class."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from edgecompress import ModelError, ModelPruner
from edgecompress.pruning.blocks import Shortcut
from edgecompress.pruning.reload.blueprint import Blueprint, Factor, blueprint_of
from tests.pruning.networks import Tied


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads, self.scale, self.causal, self.widths = 4, 0.5, True, (1, 2)
        self.register_buffer("table", torch.ones(2), persistent=False)


def test_sizes_are_whole_numbers_and_tuples_of_pytorchs_own_layers() -> None:
    sizes = blueprint_of(nn.Sequential(Heads(), nn.LayerNorm(6), nn.Conv1d(4, 2, 3, groups=2, padding="same"))).sizes
    assert sizes["0"] == {"heads": 4}
    assert sizes["1"] == {"normalized_shape": (6,)}
    assert sizes["2"]["groups"] == 2
    assert sizes["2"]["kernel_size"] == (3,)
    assert "padding" not in sizes["2"]


def test_what_was_cut_masked_and_shared() -> None:
    pruner = ModelPruner(Tied())
    pruner.magnitude_pruning(0.5)
    blueprint = blueprint_of(nn.ModuleDict({"a": pruner.model, "b": Shortcut(), "c": Heads()}))
    assert blueprint.shortcuts == ("b",)
    assert blueprint.transient == ("c.table",)
    assert {"a.first.weight", "a.second.weight"} <= set(blueprint.masks)
    assert blueprint.shared["a.head.weight"] == "a.embedding.weight"


def test_a_row_of_layers_is_told_layer_by_layer() -> None:
    row = nn.Sequential(nn.Conv2d(3, 2, (1, 3), bias=False), nn.Conv2d(2, 4, (3, 1), (2, 1), padding="valid"))
    first, second = blueprint_of(nn.Sequential(row, nn.ReLU())).factors["0"]
    assert (first.kind, first.inputs, first.outputs, first.kernel, first.bias) == ("Conv2d", 3, 2, (1, 3), False)
    assert (second.stride, second.padding, second.bias) == ((2, 1), "valid", True)
    linear = Factor(kind="Linear", inputs=2, outputs=3, bias=True)
    assert blueprint_of(nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 3))).factors == {"": (linear, linear)}
    assert not blueprint_of(nn.Sequential(nn.Linear(2, 3), nn.ReLU())).factors


def test_it_is_the_same_from_json() -> None:
    blueprint = blueprint_of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))))
    assert Blueprint.model_validate_json(blueprint.model_dump_json(), strict=True) == blueprint


@pytest.mark.parametrize(
    "text", ['{"sizes": {"a": {"b": true}}}', '{"other": 1}', '{"sizes": {"a": {"b": 1.5}}}', "[]"]
)
def test_json_of_anything_else_is_refused(text: str) -> None:
    full = '{"sizes": {}, "shortcuts": [], "factors": {}, "masks": [], "shared": {}, "transient": []}'
    Blueprint.model_validate_json(full, strict=True)
    broken = full[:-1] + "," + text[1:] if text.startswith("{") else text
    with pytest.raises(ValueError, match="validation error"):
        Blueprint.model_validate_json(broken, strict=True)


def test_a_mask_on_top_of_another_parametrization_is_refused() -> None:
    pruner = ModelPruner(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)))
    pruner.magnitude_pruning(0.5)
    parametrizations.weight_norm(pruner.model.get_submodule("0"))
    with pytest.raises(ModelError, match=r"'0.weight' has a mask and another parametrization; remove"):
        blueprint_of(pruner.model)
