"""Pruned networks in a file, and back into a fresh instance of their class: nothing is lost, nothing is executed."""

from __future__ import annotations

import copy
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from edgecompress import InputError, LowRankDecomposition, ModelError, ModelPruner, OutputError, load_pruned
from edgecompress.pruning.channels.structured import cut_out
from edgecompress.pruning.reload.saving import save_pruned
from tests.pruning.channels.random_networks import networks
from tests.pruning.channels.test_structured import FUZZING, draw, look_at, subject_of
from tests.pruning.networks import Tied, tokens
from tests.pruning.oracle import run
from tests.pruning.test_blocks import INPUTS, Net
from tests.pruning.zoo import ZOO, Entry
from tests.pruning.zoo.entry import Inputs, randomize


class Small(nn.Module):
    """Two convolutions with a batch norm between them; a stride, and a number that is a size to its code."""

    def __init__(self, channels: int = 8, stride: int = 1) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, channels, 3, stride), nn.BatchNorm2d(channels)
        self.second, self.head = nn.Conv2d(channels, 6, 1), nn.Linear(6, 5)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm(self.first(x)))
        scores: Tensor = self.head(self.second(y.view(-1, self.channels, *y.shape[2:])).mean((2, 3)))
        return scores


def _pruner(network: nn.Module, inputs: Any = INPUTS, method: Any = "filter") -> ModelPruner:
    pruner = ModelPruner(randomize(network).eval(), inputs)
    pruner.structured_pruning(method, 0.5)
    return pruner


def _assert_same(loaded: nn.Module, stored: nn.Module, inputs: Inputs) -> None:
    """Bit for bit, in every tensor and every output."""
    expected, found = stored.state_dict(), loaded.state_dict()
    assert list(expected) == list(found)
    assert all(torch.equal(value, found[name]) for name, value in expected.items())
    outputs, wanted = (run(each.eval(), inputs) for each in (loaded, stored))
    assert all(torch.equal(output, other) for output, other in zip(outputs, wanted, strict=True))


def _assert_trains(network: nn.Module, inputs: Inputs) -> None:
    """One step down the gradient moves what is trainable."""
    network.train()
    before = copy.deepcopy(network.state_dict())
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    outputs = [leaf for leaf in pytree.tree_leaves(network(*args, **kwargs)) if leaf.is_floating_point()]
    torch.stack([output.square().sum() for output in outputs]).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert any(not torch.equal(value, before[name]) for name, value in network.state_dict().items())


# Shrinking such a network takes minutes; the one that failed is printed as it is.
@settings(max_examples=300 if FUZZING else 10, phases=(Phase.generate,), suppress_health_check=[HealthCheck.too_slow])
@given(networks(), st.integers(0, 2**16), st.sampled_from((0.25, 0.5)), st.booleans())
def test_a_random_network_comes_back_as_it_was(entry: Entry, seed: int, amount: float, masked: bool) -> None:
    network, inputs = entry.network(seed), entry.inputs(seed)
    note(str(network))
    fresh = randomize(copy.deepcopy(network)).eval()
    untouched = copy.deepcopy(fresh.state_dict())
    subject = look_at(network, inputs)
    pruner = ModelPruner(cut_out(subject, draw(subject, seed, amount)).model)
    if masked:
        pruner.magnitude_pruning(0.5)
    with tempfile.TemporaryDirectory() as folder:
        pruner.save(Path(folder, "once"))
        once = load_pruned(fresh, Path(folder, "once"))
        _assert_same(once, pruner.model, inputs)
        again = look_at(once, inputs)
        twice = cut_out(again, draw(again, seed, amount)).model
        save_pruned(twice, Path(folder, "twice"))
        _assert_same(load_pruned(fresh, Path(folder, "twice")), twice, inputs)
        _assert_same(load_pruned(once, Path(folder, "twice")), twice, inputs)
    assert all(torch.equal(value, untouched[name]) for name, value in fresh.state_dict().items())
    _assert_trains(once, inputs)


@pytest.mark.parametrize("name", ["encoder", "cross_attention", "lstm", "tied_layers", "bert"])
def test_a_network_of_the_zoo_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    subject, entry = subject_of(name), ZOO[name]
    pruned = cut_out(subject, draw(subject, 1, 0.5)).model
    save_pruned(pruned, tmp_path / "file")
    loaded = load_pruned(entry.network(seed=1), tmp_path / "file")
    assert type(loaded) is type(subject.module)
    _assert_same(loaded, pruned, entry.inputs(1))


def test_removed_blocks_are_removed_again(tmp_path: Path) -> None:
    pruner = _pruner(Net(), method="block")
    pruner.structured_pruning("filter", 0.5)
    pruner.save(tmp_path / "file")
    loaded = load_pruned(Net(), tmp_path / "file")
    _assert_same(loaded, pruner.model, (INPUTS,))
    assert len(list(loaded.parameters())) < len(list(Net().parameters()))


def test_masks_hold_on(tmp_path: Path) -> None:
    pruner = ModelPruner(Tied().eval(), tokens())
    pruner.magnitude_pruning(0.5, include=["embedding"])
    pruner.save(tmp_path / "file")
    loaded: Any = load_pruned(Tied(), tmp_path / "file")
    _assert_same(loaded, pruner.model, (tokens(),))
    assert ModelPruner(loaded, tokens()).get_sparsity() == pruner.get_sparsity()
    zeros = [each == 0 for each in (loaded.first.weight, loaded.head.weight)]
    _assert_trains(loaded, (tokens(),))
    weights = (loaded.first.weight, loaded.head.weight)
    assert all((weight[where] == 0).all() for weight, where in zip(weights, zeros, strict=True))
    assert torch.equal(loaded.head.weight, loaded.embedding.weight)
    assert len(list(loaded.parameters())) == len(list(Tied().parameters()))


@pytest.mark.parametrize("first", ["prune", "factorize"])
def test_layers_of_low_rank_come_back_whatever_came_first(first: str, tmp_path: Path) -> None:
    network: nn.Module = randomize(ZOO["vgg"].build()).eval()
    inputs = ZOO["vgg"].inputs()
    for technique in ("prune", "factorize") if first == "prune" else ("factorize", "prune"):
        if technique == "prune":
            network = _pruner(network, inputs).model
        else:
            network = LowRankDecomposition.apply_to_model(network, 0.25, multiple=1).model
    assert any(name.endswith(".0.1.weight") or ".1." in name for name in network.state_dict())
    save_pruned(network, tmp_path / "file")
    loaded = load_pruned(ZOO["vgg"].build(), tmp_path / "file")
    _assert_same(loaded, network, inputs)
    _assert_trains(loaded, inputs)


def test_modes_devices_and_what_is_frozen_are_those_of_the_instance(tmp_path: Path) -> None:
    pruner = _pruner(Small())
    pruner.save(tmp_path / "file")
    instance = Small().double().train()
    instance.second.eval()
    instance.first.weight.requires_grad_(False)
    loaded = load_pruned(instance, tmp_path / "file")
    assert not loaded.get_parameter("first.weight").requires_grad
    assert loaded.get_parameter("first.bias").requires_grad
    assert [part.training for part in loaded.modules()] == [part.training for part in instance.modules()]
    stored = pruner.model.state_dict()
    assert all(each.dtype == instance.state_dict()[name].dtype for name, each in loaded.state_dict().items())
    assert all(torch.equal(each, stored[name].to(each.dtype)) for name, each in loaded.state_dict().items())


def test_the_file_is_safetensors_and_the_same_for_the_same_network(tmp_path: Path) -> None:
    pruner = _pruner(Small())
    pruner.save(tmp_path / "one")
    save_pruned(copy.deepcopy(pruner.model), tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert load_file(tmp_path / "one").keys() == pruner.model.state_dict().keys()


def test_a_file_is_replaced_only_where_that_is_said(tmp_path: Path) -> None:
    pruner, place = _pruner(Small()), tmp_path / "folder" / "file"
    pruner.save(place)
    before = place.read_bytes()
    pruner.magnitude_pruning(0.5)
    with pytest.raises(OutputError, match=r"file' exists; choose another path, or save with overwrite=True$"):
        pruner.save(str(place))
    assert place.read_bytes() == before
    pruner.save(place, overwrite=True)
    assert place.read_bytes() != before
    assert [path.name for path in place.parent.iterdir()] == ["file"]


class ExtraState(Small):
    def get_extra_state(self) -> Any:
        return {"step": 1}

    def set_extra_state(self, state: Any) -> None:
        pass


class Sparse(Small):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.eye(3).to_sparse())


@pytest.mark.parametrize(
    ("network", "path", "words"),
    [
        (Small(), 3, "the path is 3; give a text or a Path"),
        (Small(), ".", "'.' exists; choose another path, or save with overwrite=True"),
        (ExtraState(), "file", "'' keeps extra state, which no safetensors file holds; keep it in a buffer"),
        (Sparse(), "file", "the model's tensors do not go into safetensors: .*; convert them"),
    ],
)
def test_what_cannot_be_stored_is_refused(
    network: nn.Module, path: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        save_pruned(network, path)
    assert re.match(words, str(caught.value))
    assert not list(tmp_path.iterdir())


def _rewrite(change: Callable[[dict[str, Tensor]], object]) -> Callable[[Path], None]:
    """The file with other tensors and the old metadata."""

    def write(path: Path) -> None:
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, metadata)

    return write


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGED = "was changed after it was written; save it again"
MISTAKES: dict[str, tuple[Callable[[], Any], Callable[[Path], Any], str]] = {
    "no file": (Small, Path.unlink, "does not exist; check the path"),
    "folder": (Small, _become_a_folder, "is no file; check the path"),
    "plain": (
        Small,
        lambda path: save_file(load_file(path), path),
        " is not the file of a pruned network; load it with load_state_dict",
    ),
    "no safetensors": (
        Small,
        lambda path: path.write_bytes(b"PK\3\4" * 9),
        " is no safetensors file; give one that ModelPruner.save wrote",
    ),
    "empty": (Small, lambda path: path.write_bytes(b""), "is no safetensors file; give one that"),
    "one byte": (Small, _flip, CHANGED),
    "missing": (Small, _rewrite(lambda tensors: tensors.pop("norm.bias")), CHANGED),
    "renamed": (Small, _rewrite(lambda tensors: tensors.update(other=tensors.pop("norm.bias"))), CHANGED),
    "another class": (Net, lambda _: None, "does not fit the model (it has no module 'first')"),
    "narrower": (
        lambda: Small(3),
        lambda _: None,
        " does not fit the model ('channels' is 4 in the file, and 3 here); give an instance of the pruned class,"
        " built as it was",
    ),
    "other stride": (
        lambda: Small(stride=2),
        lambda _: None,
        "does not fit the model ('first.stride' is (1, 1) in the file, and (2, 2) here)",
    ),
    "a class": (
        lambda: Small,
        lambda _: None,
        "the model is the class Small; create an instance, and load its weights (load_state_dict)",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_one_line(mistake: str, tmp_path: Path) -> None:
    instance, spoil, words = MISTAKES[mistake]
    pruner, path = ModelPruner(Small().eval(), INPUTS), tmp_path / "file"
    pruner.structured_pruning("filter", 0.5)
    pruner.save(path)
    spoil(path)
    with pytest.raises(ModelError) as caught:
        load_pruned(instance(), path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
