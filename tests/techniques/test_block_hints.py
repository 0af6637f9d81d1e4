"""What residual blocks pass on is learned where the network was made from its teacher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from edgecompress.pruning.blocks import Block, remove_blocks
from edgecompress.recipe.tables import Distillation, Recipe, Training
from edgecompress.techniques.block_hints import block_hints
from edgecompress.techniques.cutting import cut, examine_network
from edgecompress.techniques.fine_tuning import recover
from edgecompress.training import BlockHint
from tests.networks import CLASSES, ConvNet, seeded
from tests.techniques.contexts import Blocks, context


class Residual(nn.Module):
    """Of a convolution, in one or two dimensions, with a width of its own inside."""

    def __init__(self, convolution: type[nn.Conv1d] | type[nn.Conv2d]) -> None:
        super().__init__()
        self.first, self.second = convolution(8, 16, 3, padding=1), convolution(16, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class Stack(nn.Module):
    """Blocks between a stem and a head."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.body, self.head = nn.ModuleList(body), nn.Linear(8, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(self.stem(image))
        for block in self.body:
            x = self.run(block, x)
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]

    def run(self, block: nn.Module, x: Tensor) -> Tensor:
        return block(x)  # type: ignore[no-any-return]


class Flat(Stack):
    """Its blocks see no height: (rows, channels, places)."""

    def run(self, block: nn.Module, x: Tensor) -> Tensor:
        return block(x.flatten(2)).reshape(x.shape)  # type: ignore[no-any-return]


class Skipping(Stack):
    """Stochastic depth that leaves out every block in training."""

    def run(self, block: nn.Module, x: Tensor) -> Tensor:
        return x if self.training else super().run(block, x)


def _names(model: nn.Module, original: nn.Module) -> tuple[str, ...]:
    return tuple(hint.student for hint in block_hints(model, 0.5, context(original, Recipe())))


def _without(net: nn.Module, *numbers: int) -> nn.Module:
    return remove_blocks(net, [Block(name=f"body.{number}", influence=0.0) for number in numbers])


@pytest.mark.parametrize(
    ("gone", "compared"),
    [
        ((), (0, 1, 2, 3)),
        ((1,), (1, 2, 3)),  # what comes out of the place of 1 is what 0 passes on, and does the work of both
        ((1, 2), (2, 3)),
        ((0,), (0, 1, 2, 3)),
        ((3,), (0, 1, 3)),
    ],
)
def test_a_block_before_one_that_left_stands_for_both(gone: tuple[int, ...], compared: tuple[int, ...]) -> None:
    net = seeded(Blocks)
    assert _names(_without(net, *gone), net) == tuple(f"body.{number}" for number in compared)


def test_a_block_that_is_not_straight_before_the_other_stands_for_itself() -> None:
    between = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
    net = Stack(Residual(nn.Conv2d), between, Residual(nn.Conv2d), Residual(nn.Conv2d)).eval()
    assert _names(_without(net, 2), net) == ("body.0", "body.2", "body.3")


def test_another_teacher_has_blocks_of_its_own() -> None:
    net = seeded(Blocks)
    taught = replace(context(net, Recipe()), teacher=seeded(Blocks, seed=1))
    assert block_hints(net, 0.5, taught) == ()


def test_without_a_weight_or_blocks_there_are_none() -> None:
    for network, weight in ((seeded(Blocks), 0.0), (seeded(ConvNet), 0.5)):
        assert block_hints(network, weight, context(network, Recipe())) == ()


def test_a_block_under_two_names_runs_twice_and_is_left_out() -> None:
    shared = Residual(nn.Conv2d)
    net = Stack(shared, shared, Residual(nn.Conv2d)).eval()
    assert _names(net, net) == ("body.2",)


RECIPE = Recipe(training=Training(epochs=1), distillation=Distillation(alpha=0.9, block_weight=0.5))


@pytest.mark.parametrize(
    "made",
    [
        lambda: Stack(Residual(nn.Conv2d), Residual(nn.Conv2d)),
        lambda: Flat(Residual(nn.Conv1d), Residual(nn.Conv1d)),
        lambda: Skipping(Residual(nn.Conv2d), Residual(nn.Conv2d)),
    ],
    ids=["two dimensions", "one dimension", "stochastic depth"],
)
def test_a_narrower_stream_recovers(made: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    net = made().eval()
    pruning = RECIPE.pruning.model_copy(update={"multiple": 2, "residual": "prune", "enabled": True})
    given = context(net, RECIPE.model_copy(update={"pruning": pruning}), "train")
    narrow = cut(examine_network(net, given), 0.5, "1", given).model
    before, after = (each.get_parameter("stem.weight") for each in (narrow, recover(narrow, given, 1, None)))
    assert before.shape == after.shape == (4, 3, 3, 3)
    assert not torch.equal(before, after)


def test_the_blocks_are_learned_from() -> None:
    net = seeded(Blocks)
    start = _without(net, 1)
    learned = []
    for weight in (0.0, 0.5):
        distillation = RECIPE.distillation.model_copy(update={"block_weight": weight})
        given = context(net, RECIPE.model_copy(update={"distillation": distillation}), "train")
        learned.append(torch.cat([parameter.flatten() for parameter in recover(start, given, 1, None).parameters()]))
    without, with_them = learned
    assert not torch.allclose(without, with_them)


def test_a_block_is_compared_with_the_one_of_its_name() -> None:
    net = seeded(Blocks)
    assert block_hints(net, 0.5, context(net, Recipe()))[0] == BlockHint("body.0", weight=0.5)
