"""Layers are listened to while a network runs, and at no other time."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgecompress.errors import RecipeError
from edgecompress.system.randomness import RandomStates
from edgecompress.training import Hint
from edgecompress.training.feature_taps import Tapped, TappedOutputs, tap
from edgecompress.training.readings import first_output
from tests.networks import ConvNet, ResidualNet, images, seeded
from tests.training.batches import same, stack

IMAGES = images(rows=3, batches=1)[0][0]


def _hooks(network: nn.Module) -> int:
    return sum(len(part._forward_hooks) for part in network.modules())


def test_features_are_those_of_the_layers_and_outputs_those_of_the_network() -> None:
    network: Any = seeded(ConvNet)
    tapped = Tapped(network, ["features.2", "pool", "features.2"])
    outputs, features = tapped(IMAGES)
    assert torch.equal(outputs, network(IMAGES))
    middle = network.features[:3](IMAGES)
    assert torch.equal(features[0], middle)
    assert torch.equal(features[2], middle)
    assert torch.equal(features[1], network.pool(network.features(IMAGES)))
    assert torch.equal(first_output(tapped(image=IMAGES)), outputs)
    assert _hooks(network) == 0


def test_a_copy_listens_to_its_own_network() -> None:
    tapped = Tapped(stack(), ["layers.1"])
    copied = copy.deepcopy(tapped)
    with torch.no_grad():
        copied.network.get_parameter("layers.0.weight").zero_()
        copied.network.get_parameter("layers.0.bias").fill_(1.0)
    x = torch.rand(2, 32)
    assert torch.equal(copied(x).features[0], torch.ones(2, 64))
    assert not torch.equal(tapped(x).features[0], torch.ones(2, 64))


def test_hooks_go_when_the_network_fails() -> None:
    network = stack()
    with pytest.raises(RuntimeError):
        Tapped(network, ["layers.0"])(torch.rand(2, 5))
    assert _hooks(network) == 0


class Odd(nn.Module):
    """A layer that runs twice, one that never runs, one that returns a tuple, one that returns no tensor, one that is
    changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.never, self.inplace = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU(inplace=True)
        self.lstm, self.last, self.textual = nn.LSTM(4, 4, batch_first=True), nn.Linear(4, 4), Textual()

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.twice(x))
        self.textual(x)
        return self.inplace(self.last(self.lstm(x[:, None])[0][:, 0]))  # type: ignore[no-any-return]


class Textual(nn.Module):
    def forward(self, x: Tensor) -> str:
        return "no tensor"


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("twice", "layer 'twice' runs 2 times when the network is called; name one that runs once"),
        ("never", "layer 'never' does not run when the network is called"),
        ("textual", "layer 'textual' gives no tensor; name another one"),
    ],
)
def test_a_layer_that_gives_no_one_tensor_is_refused(layer: str, words: str) -> None:
    network = Odd()
    with pytest.raises(RecipeError, match=words):
        Tapped(network, [layer])(torch.rand(2, 4))
    assert _hooks(network) == 0


def test_of_a_tuple_the_first_tensor_is_taken() -> None:
    network = Odd()
    (feature,) = Tapped(network, ["lstm"])(torch.rand(2, 4)).features
    assert feature.shape == (2, 1, 4)


def test_a_feature_is_what_the_layer_gave_though_it_is_changed_in_place_later() -> None:
    outputs, (feature,) = Tapped(seeded(Odd), ["last"])(torch.randn(8, 4))
    assert (feature < 0).any()
    assert torch.equal(feature.relu(), outputs)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("feature.2", "ConvNet has no layer 'feature.2'; did you mean 'features.2'?"),
        ("", "ConvNet has no layer ''; network.named_modules() has the names"),
    ],
)
def test_an_unknown_layer_is_refused_with_the_nearest(name: str, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Tapped(seeded(ConvNet), [name])
    assert str(caught.value) == words


def test_the_name_in_a_wrapper_is_the_networks_own() -> None:
    class Wrapper(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, x: Tensor) -> Any:
            return self.module(x)

    wrapped = Wrapper(Wrapper(stack()))
    for name in ("layers.0", "module.layers.0", "module.module.layers.0"):
        assert Tapped(wrapped, [name])(torch.rand(2, 32)).features[0].shape == (2, 64)


def test_tapping_draws_projections_from_the_seed_and_changes_nothing() -> None:
    student, teacher = seeded(ConvNet).train(), seeded(ResidualNet)
    before, state = copy.deepcopy(student), RandomStates.now()
    # 16 channels of half the size against 8.
    terms = [Hint("features.5", "stem"), Hint("features.2", "stem.2")]
    made = [tap(student, Tapped(teacher, ["stem", "stem.2"]), terms, {"image": IMAGES}, seed) for seed in (0, 0, 1)]
    assert same(made[0], made[1])
    assert not same(made[0], made[2])
    assert same(student, before)
    assert student.training
    assert torch.equal(RandomStates.now().torch_state, state.torch_state)
    assert [name for name, _ in made[0].projections.named_parameters()] == ["0.weight", "0.bias"]
    outputs = made[0](IMAGES)
    assert isinstance(outputs, TappedOutputs)
    assert [tuple(feature.shape) for feature in outputs.features if feature is not None] == [
        (3, 8, 8, 8),
        (3, 8, 16, 16),
    ]
