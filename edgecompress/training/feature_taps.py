"""Networks that return the outputs of some of their layers together with their own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from edgecompress.errors import ModelError, RecipeError, nearest
from edgecompress.modules.copies import copied
from edgecompress.system.randomness import own_randomness, seed_all
from edgecompress.training.feature_terms import FeatureTerm
from edgecompress.training.readings import first_output
from edgecompress.training.user_calls import run_network


class TappedOutputs(NamedTuple):
    """A network's own outputs, and a feature for each layer that was asked for; None where it was left out."""

    outputs: Any
    features: tuple[Tensor | None, ...]


class Tapped(nn.Module):
    """A network that is called as it always was, and whose named layers are listened to meanwhile.

    Projections are parts of it: they are trained, kept and shared among processes with the network.

    Attributes:
        network: the one that was given, without hooks between calls.
        projections: for each layer, what its feature goes through.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[str],
        projections: Iterable[nn.Module] = (),
        skippable: Collection[str] = (),
    ) -> None:
        """
        Args:
            network: not copied.
            layers: names of its modules, as ``named_modules`` tells them; the ``module.`` of a wrapper is left out.
            projections: one for each layer; by default features stay as they are.
            skippable: those of the layers that need not run once in a call.

        Raises:
            RecipeError: a layer is not there.
        """
        super().__init__()
        self.network = network
        self.layers = tuple(layers)
        self.skippable = frozenset(skippable)
        self.projections = nn.ModuleList(projections or (nn.Identity() for _ in self.layers))
        for name in self.layers:
            _find(network, name)

    def forward(self, *args: Any, **kwargs: Any) -> TappedOutputs:
        """The network's outputs, and its projected features.

        Raises:
            RecipeError: a layer that is not skippable ran not once, or one gave no tensor.
        """
        with _listening(self.network, self.layers) as heard:
            outputs = self.network(*args, **kwargs)
        features = [
            None if name in self.skippable and len(heard[name]) != 1 else _only(name, heard[name])
            for name in self.layers
        ]
        return TappedOutputs(outputs, tuple(map(_apply, self.projections, features)))


def tap(
    student: nn.Module, teacher: nn.Module, terms: Sequence[FeatureTerm], inputs: Mapping[str, Tensor], seed: int
) -> Tapped:
    """A student that hands back the features of ``terms``, with projections to the teacher's shapes.

    Args:
        student: not copied, and not run: a copy is.
        teacher: a network that is tapped at the terms' sources.
        terms: the feature terms.
        inputs: a few samples by input name, which tell the shapes.
        seed: of the projections' first weights.

    Raises:
        RecipeError: a layer is not there, did not run once, or cannot be compared with the other one.
        ModelError: a network fails.
    """
    if not terms:
        return Tapped(student, ())
    layers = [term.student for term in terms]
    bare = Tapped(copied(student).eval(), layers)
    with own_randomness(), torch.no_grad():
        own = run_network(bare, inputs, "the student").features
        given = run_network(teacher, inputs, "the teacher").features
        seed_all("projections", seed)
        projections = [term.projection(*pair) for term, *pair in zip(terms, own, given, strict=True)]
    return Tapped(student, layers, projections, [term.student for term in terms if term.skippable])


@contextmanager
def _listening(network: nn.Module, names: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
    """What each of the modules returns, for as long as the block lasts."""
    heard: dict[str, list[Any]] = {name: [] for name in names}
    with ExitStack() as hooks:
        for name, kept in heard.items():
            hooks.enter_context(_find(network, name).register_forward_hook(_keeping(name, kept)))
        yield heard


def _keeping(name: str, kept: list[Any]) -> Any:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        try:
            # A copy: what follows may change the tensor in place, as ReLU(inplace=True) does.
            kept.append(first_output(output).clone())
        except ModelError as error:
            raise RecipeError(f"layer {name!r} gives no tensor; name another one") from error

    return hook


def _only(name: str, heard: list[Tensor]) -> Tensor:
    if len(heard) != 1:
        times = f"runs {len(heard)} times" if heard else "does not run"
        raise RecipeError(f"layer {name!r} {times} when the network is called; name one that runs once")
    return heard[0]


def _apply(projection: nn.Module, feature: Tensor | None) -> Tensor | None:
    return None if feature is None else projection(feature)


def _find(network: nn.Module, name: str) -> nn.Module:
    layers: dict[str, nn.Module] = dict(network.named_modules())
    while [inner for inner, _ in network.named_children()] == ["module"]:
        network = network.get_submodule("module")
        layers.update(network.named_modules())
    layers.pop("", None)
    if name not in layers:
        suggestion = nearest(name, layers, "; network.named_modules() has the names")
        raise RecipeError(f"{type(network).__name__} has no layer {name!r}{suggestion}")
    return layers[name]
