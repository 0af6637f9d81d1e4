"""The pruned network is the original with the removed channels silenced, whatever the architecture."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn

from edgecompress import ModelError, Quantizer
from edgecompress.pruning.channels import structured
from edgecompress.pruning.channels.structured import FIXED, Pruned, Subject, cut_out, examine
from tests.pruning.oracle import difference, silenced, variation
from tests.pruning.zoo import ZOO, Entry
from tests.pruning.zoo.entry import Inputs

TOLERANCE = 1e-4
LEAST_VARIATION = 0.01
FUZZING = settings.get_current_profile_name() == "fuzz"
DRAWS = [(seed, amount) for seed in range(3) for amount in (0.25, 0.5, 0.75) if FUZZING or amount == (seed + 1) / 4]
QUANTIZED = ("resnet_padding", "mobilenet_v3", "shufflenet_v2", "unet", "decoder", "bert")


@cache
def subject_of(name: str) -> Subject:
    return look_at(ZOO[name].network(), ZOO[name].inputs())


def look_at(network: nn.Module, inputs: Inputs) -> Subject:
    return examine(network, (), inputs) if isinstance(inputs, dict) else examine(network, inputs)


def draw(subject: Subject, seed: int, amount: float) -> list[int]:
    """This share of the units of each group, at least one and never all."""
    chance = random.Random(seed)
    counts = (min(max(round(len(group.units) * amount), 1), len(group.units) - 1) for group in subject.groups)
    return [
        unit for group, count in zip(subject.groups, counts, strict=True) for unit in chance.sample(group.units, count)
    ]


def assert_silenced(original: nn.Module, pruned: Pruned, entry: Entry) -> None:
    """Equal to the silenced original on inputs that neither has seen, which it tells apart."""
    expected = silenced(original, pruned.removed)
    samples = [entry.inputs(seed) for seed in (10, 11, 12)]
    assert max(difference(pruned.model, expected, sample) for sample in samples) <= TOLERANCE
    assert variation(pruned.model, samples[0], samples[1]) >= LEAST_VARIATION


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("seed", "amount"), DRAWS)
@pytest.mark.parametrize("name", ZOO)
def test_a_pruned_network_is_the_silenced_original(name: str, seed: int, amount: float) -> None:
    subject = subject_of(name)
    pruned = cut_out(subject, draw(subject, seed, amount))
    assert_silenced(subject.module, pruned, ZOO[name])
    assert not [refusal.name for refusal in pruned.refusals if refusal.reason == FIXED]
    for tensor, axes in pruned.removed.items():
        before, after = (
            module.get_parameter if _is_parameter(module, tensor) else module.get_buffer
            for module in (subject.module, pruned.model)
        )
        for axis, gone in axes.items():
            assert after(tensor).shape[axis] == before(tensor).shape[axis] - len(gone)
    assert count(pruned.model) < count(subject.module)


def _is_parameter(module: nn.Module, name: str) -> bool:
    return name in dict(module.named_parameters(remove_duplicate=False))


@pytest.mark.parametrize("name", ZOO)
def test_the_groups_are_those_that_an_engineer_expects(name: str) -> None:
    subject, entry = subject_of(name), ZOO[name]
    assert {group.name: len(group.units) for group in subject.groups} == entry.groups
    assert {refusal.name for refusal in subject.refusals} >= set(entry.whole)
    assert not {refusal.name for refusal in subject.refusals} & set(entry.groups)


@pytest.mark.parametrize("name", ZOO)
def test_a_pruned_network_can_be_pruned_again(name: str) -> None:
    entry, first = ZOO[name], subject_of(name)
    once = cut_out(first, draw(first, 0, 0.25)).model
    second = look_at(once, entry.inputs())
    twice = cut_out(second, draw(second, 1, 0.25) if second.groups else [])
    assert_silenced(once, twice, entry)
    assert (count(twice.model) < count(once)) == bool(second.groups)


@pytest.mark.parametrize("name", ["resnet_padding", "decoder", "bert", "lstm", "tied_layers"])
def test_the_original_is_not_touched(name: str) -> None:
    network = ZOO[name].network().train()
    next(network.children()).eval()
    before = copy.deepcopy(network)
    subject = look_at(network, ZOO[name].inputs())
    pruned = cut_out(subject, draw(subject, 0, 0.5))
    for (_, part), (path, old), (_, new) in zip(
        network.named_modules(), before.named_modules(), pruned.model.named_modules(), strict=True
    ):
        assert part.training == old.training == new.training, path
        assert _plain(part) == _plain(old), path
    after = network.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.state_dict().items())
    assert all(parameter.requires_grad for parameter in pruned.model.parameters())


def _plain(part: nn.Module) -> dict[str, Any]:
    return {key: value for key, value in vars(part).items() if type(value) in (int, float, bool, str, tuple)}


def test_tied_weights_stay_tied() -> None:
    subject = subject_of("decoder")
    model: Any = cut_out(subject, draw(subject, 0, 0.5)).model
    assert model.head.weight is model.embedding.weight


@pytest.mark.parametrize("name", ["resnet_basic", "mobilenet_v3", "vit", "group_norm"])
def test_the_oracle_sees_a_single_wrong_index(name: str) -> None:
    subject = subject_of(name)
    pruned = cut_out(subject, draw(subject, 1, 0.5))
    rows = {tensor: axes for tensor, axes in pruned.removed.items() if tensor.endswith("weight") and 0 in axes}
    for tensor, axes in list(rows.items())[:4]:
        size = subject.module.get_parameter(tensor).shape[0]
        wrong = sorted(set(range(size)) - set(axes[0].tolist()))[:1] + axes[0].tolist()[1:]
        removed = {**pruned.removed, tensor: {**axes, 0: torch.tensor(wrong)}}
        assert difference(pruned.model, silenced(subject.module, removed), ZOO[name].inputs(10)) > TOLERANCE, tensor


def test_no_units_means_no_change() -> None:
    subject = subject_of("resnet_basic")
    pruned = cut_out(subject, [])
    assert pruned.removed == {}
    assert difference(pruned.model, subject.module, ZOO["resnet_basic"].inputs(10)) == 0


class _FixedSize(nn.Module):
    """One size in the code is a number that no attribute has."""

    def __init__(self) -> None:
        super().__init__()
        self.fixed, self.free, self.head = nn.Linear(6, 12), nn.Linear(12, 10), nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Any:
        hidden = torch.relu(self.fixed(x)).reshape(-1, 12)
        return self.head(torch.relu(self.free(hidden)))


def test_what_the_code_fixes_is_left_whole_and_named() -> None:
    torch.manual_seed(0)
    network = _FixedSize().eval()
    subject = examine(network, (torch.randn(2, 6),))
    pruned = cut_out(subject, [unit for group in subject.groups for unit in group.units[:4]])
    model: Any = pruned.model
    assert [refusal.name for refusal in pruned.refusals if refusal.reason == FIXED] == ["fixed"]
    assert (model.fixed.out_features, model.free.out_features) == (12, 6)


class _EqualSizes(nn.Module):
    """As many heads as each is wide: which of the attributes is meant shows only in the outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.width, self.heads = 4, 4
        self.qkv, self.out = nn.Linear(6, 48), nn.Linear(16, 6)

    def forward(self, x: Tensor) -> Any:
        rows, length, _ = x.shape
        q, k, v = self.qkv(x).view(rows, length, 3, self.heads, self.width).permute(2, 0, 3, 1, 4).unbind(0)
        weights = torch.softmax(q @ k.mT * self.width**-0.5, -1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


def test_a_size_that_two_attributes_have_is_tried_on_each() -> None:
    torch.manual_seed(0)
    subject = examine(_EqualSizes().eval(), (torch.randn(2, 5, 6),))
    (group,) = subject.groups
    assert len(group.units) == 4
    model: Any = cut_out(subject, group.units[:2]).model
    assert (model.heads, model.width) == (2, 4)


def test_outputs_far_from_zero_may_differ_by_their_rounding_and_no_more() -> None:
    outputs = torch.tensor([2038.338, 2038.407, 2038.976])
    one_place_off = torch.nextafter(outputs, torch.tensor(torch.inf))
    assert float((one_place_off - outputs).max()) > structured.TOLERANCE * float(outputs.max() - outputs.min())
    assert structured.is_close(one_place_off, outputs)
    assert not structured.is_close(outputs + torch.tensor([0, 0.01, 0]), outputs)
    assert not structured.is_close(torch.tensor([torch.nan]), torch.tensor([1.0]))
    assert structured.is_close(torch.empty(0, 3), torch.empty(0, 3))


def test_a_network_that_cannot_be_captured_is_an_error() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ModelError, match=r"torch\.export cannot capture the model"):
        examine(Branching(), (torch.ones(2),))


@pytest.mark.filterwarnings("ignore:there is calibration data of")
@pytest.mark.parametrize("name", ZOO if FUZZING else QUANTIZED)
def test_a_pruned_network_exports_quantizes_and_runs(name: str) -> None:
    subject, entry = subject_of(name), ZOO[name]
    model = cut_out(subject, draw(subject, 1, 0.5)).model
    batches = [(_one(entry.inputs(seed)), None) for seed in range(2)]
    quantized = Quantizer.static_quantize(model, batches)  # raises if the export differs from the module
    wanted, found = (_leaves(each(*_args(entry.inputs(5)), **_kwargs(entry.inputs(5)))) for each in (model, quantized))
    for each, other in zip(wanted, found, strict=True):
        assert each.shape == other.shape
        assert torch.isfinite(other).all()
    assert quantized.size_bytes > 0


def _one(inputs: Inputs) -> Any:
    return inputs[0] if isinstance(inputs, tuple) and len(inputs) == 1 else inputs


def _args(inputs: Inputs) -> tuple[Tensor, ...]:
    return inputs if isinstance(inputs, tuple) else ()


def _kwargs(inputs: Inputs) -> dict[str, Tensor]:
    return inputs if isinstance(inputs, dict) else {}


def _leaves(outputs: Any) -> Sequence[Tensor]:
    from torch.utils import _pytree as pytree

    return [leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)]
