"""A fresh instance takes the form that a file tells, and nothing that pruning cannot have made."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgecompress.errors import ModelError
from edgecompress.pruning.reload.blueprint import Blueprint, blueprint_of
from edgecompress.pruning.reload.file_header import Stored
from edgecompress.pruning.reload.rebuilding import fill, rebuild
from edgecompress.pruning.storage import named_tensors


class Net(nn.Module):
    def __init__(self, width: int = 4, heads: int = 2) -> None:
        super().__init__()
        self.layer, self.pool, self.norm = nn.Linear(3, width), nn.AvgPool1d(2), nn.BatchNorm1d(width)
        self.heads, self.name, self.flag = heads, "net", True
        self.register_buffer("places", torch.arange(4), persistent=False)


def _stored(network: nn.Module, **changes: Any) -> Stored:
    blueprint = blueprint_of(network)
    shapes = {
        name: tuple(tensor.shape) for name, tensor in named_tensors(network).items() if name not in blueprint.shared
    }
    floating = frozenset(name for name, tensor in named_tensors(network).items() if tensor.is_floating_point())
    stored = {"name": "file", "blueprint": blueprint, "shapes": shapes, "floating": floating}
    return Stored(**{**stored, **changes})


def _rebuilt(stored: Stored) -> Any:
    return rebuild(Net(), stored)


def _with(sizes: dict[str, dict[str, int | tuple[int, ...]]], **parts: Any) -> Blueprint:
    return blueprint_of(Net()).model_copy(update={"sizes": sizes, **parts})


def _refusal(stored: Stored, network: nn.Module | None = None) -> str:
    with pytest.raises(ModelError) as caught:
        rebuild(network or Net(), stored)
    message = str(caught.value)
    assert message.startswith("'file' does not fit the model (")
    assert message.endswith("); give an instance of the pruned class, built as it was")
    return message


def test_sizes_follow_and_the_instance_is_untouched() -> None:
    network, rebuilt = Net(), _rebuilt(_stored(Net(2, 1)))
    assert (rebuilt.layer.out_features, rebuilt.norm.num_features, rebuilt.heads) == (2, 2, 1)
    assert (network.layer.out_features, network.norm.num_features, network.heads) == (4, 4, 2)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"": {"heads": 3}}, "'heads' is 3 in the file, and 2 here"),
        ({"": {"heads": -1}}, "'heads' is -1"),
        ({"": {"flag": 0}}, "'flag' is 0 in the file, and True here"),
        ({"": {"name": 1}}, "'name' is 1"),
        ({"": {"heads": (1,)}}, "'heads' is (1,)"),
        ({"": {"_modules": 1}}, "'_modules' is 1"),
        ({"pool": {"kernel_size": (1,)}}, "'pool.kernel_size' is (1,)"),
        ({"norm": {"eps": 0}}, "'norm.eps' is 0"),
        ({"other": {"heads": 1}}, "it has no module 'other'"),
        ({"layer.weight": {"heads": 1}}, "it has no module 'layer.weight'"),
    ],
)
def test_nothing_but_a_size_becomes_smaller(sizes: dict[str, Any], words: str) -> None:
    assert words in _refusal(_stored(Net(), blueprint=_with(sizes)))


@pytest.mark.parametrize("name", ["forward", "__class__", "unknown", "__dict__"])
def test_what_the_instance_does_not_hold_as_a_number_is_not_set(name: str) -> None:
    rebuilt = rebuild(Net(), _stored(Net(), blueprint=_with({"": {name: 1}})))
    assert type(rebuilt) is Net
    assert name not in vars(rebuilt)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((5, 3), "'layer.weight' has shape (5, 3) in the file, and (4, 3) here"),
        ((0, 3), "'layer.weight' has shape (0, 3)"),
        ((4, 3, 1), "'layer.weight' has shape (4, 3, 1)"),
        ((2**60, 3), "'layer.weight' has shape"),
        ((-1, 3), "'layer.weight' has shape"),
    ],
)
def test_a_tensor_is_a_part_of_what_the_instance_has(shape: tuple[int, ...], words: str) -> None:
    whole = _stored(Net())
    assert words in _refusal(_stored(Net(), shapes={**whole.shapes, "layer.weight": shape}))


def test_missing_and_unexpected_tensors_are_named() -> None:
    shapes = {name: shape for name, shape in _stored(Net()).shapes.items() if name != "layer.bias"}
    assert "(missing: layer.bias; unexpected: other)" in _refusal(_stored(Net(), shapes={**shapes, "other": (1,)}))


def test_buffers_that_no_state_dict_holds_may_be_missing() -> None:
    shapes = {name: shape for name, shape in _stored(Net()).shapes.items() if name != "places"}
    rebuilt = _rebuilt(_stored(Net(), shapes=shapes))
    fill(rebuilt, {name: torch.ones(shape) for name, shape in shapes.items()}, {})
    assert torch.equal(rebuilt.places, torch.arange(4))


def test_numbers_of_another_kind_are_refused() -> None:
    assert "'layer.bias' holds torch.float32 here" in _refusal(_stored(Net(), floating=frozenset()))


def test_two_tensors_are_not_read_into_one() -> None:
    tied, free = (nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)]) for _ in range(2))
    tied[1].weight = tied[0].weight
    assert "'0.weight' and '1.weight' are one tensor here, and two in the file" in _refusal(_stored(free), tied)
    rebuilt = rebuild(free, _stored(tied))
    fill(
        rebuilt,
        {name: torch.full(shape, 2.0) for name, shape in _stored(tied).shapes.items()},
        {"1.weight": "0.weight"},
    )
    assert all((parameter == 2).all() for parameter in rebuilt.parameters())


def test_a_mask_needs_its_weight() -> None:
    assert "it has no weight 'layer.other'" in _refusal(_stored(Net(), blueprint=_with({}, masks=("layer.other",))))
    assert "it has no module 'other'" in _refusal(_stored(Net(), blueprint=_with({}, masks=("other.weight",))))


def test_a_shortcut_needs_its_block() -> None:
    assert "it has no module 'other'" in _refusal(_stored(Net(), blueprint=_with({}, shortcuts=("other",))))


def test_values_fill_in_place_where_the_shape_stays() -> None:
    network = _rebuilt(_stored(Net(2)))
    bias, values = network.norm.num_batches_tracked, {n: torch.ones(s) for n, s in _stored(Net(2)).shapes.items()}
    fill(network, values, {})
    assert network.norm.num_batches_tracked is bias
    assert isinstance(network.layer.weight, nn.Parameter)
    assert all(torch.equal(value.detach(), torch.ones(value.shape, dtype=value.dtype)) for value in _values(network))


def _values(network: nn.Module) -> list[Tensor]:
    return list(named_tensors(network).values())
