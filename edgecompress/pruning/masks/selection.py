"""Which of the prunable weights a call takes: embeddings and the last classifier only where they are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from edgecompress.errors import ModelError, RecipeError, nearest
from edgecompress.modules.names import covers
from edgecompress.pruning.masks.weights import Weight
from edgecompress.recipe.arguments import names
from edgecompress.step import Refusal

_ROLES = {"classifier": "the last classifier", "embedding": "an embedding"}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Names of modules, with ``*``, ``?`` and ``[...]`` as wildcards; a module stands for all that is in it."""

    include: tuple[str, ...]
    protect: tuple[str, ...]


def check_choice(
    model: nn.Module, weights: Sequence[Weight], unknown: Sequence[Refusal], include: Any, protect: Any
) -> Choice:
    """The names that a user gave; each has a meaning.

    Args:
        model: whose modules they are.
        weights: those of it that can be pruned.
        unknown: its other matrices, and why they cannot.
        include: what the user wants to prune.
        protect: what the user wants to keep.

    Raises:
        RecipeError: they are no lists of names, a name is that of no module, or one that is to be pruned holds
            nothing to prune.
    """
    choice = Choice(include=names("include", include), protect=names("protect", protect))
    modules = {name: module for name, module in model.named_modules(remove_duplicate=False) if _is_own(name)}
    for argument, patterns in (("include", choice.include), ("protect", choice.protect)):
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in modules):
                suggestion = nearest(pattern, modules, "; model.named_modules() has the names")
                raise RecipeError(f"unknown module {pattern!r} in {argument}{suggestion}")
    for pattern in choice.include:
        if not any(_covers((pattern,), weight) for weight in weights):
            raise RecipeError(_nothing_to_prune(pattern, modules, unknown))
    return choice


def select(weights: Sequence[Weight], choice: Choice) -> tuple[tuple[Weight, ...], tuple[Refusal, ...]]:
    """The weights to prune, and those that are protected.

    A weight that several modules share is protected where one of them is, and pruned where one of them is included.

    Raises:
        RecipeError: a module is both included and protected.
        ModelError: nothing is left to prune.
    """
    chosen: list[Weight] = []
    refusals: list[Refusal] = []
    for weight in weights:
        reason = _protection(weight, choice)
        if reason:
            refusals.append(Refusal(name=weight.name, kind=weight.kind, reason=reason))
        else:
            chosen.append(weight)
    if not chosen:
        raise ModelError(_nothing_left(weights))
    return tuple(chosen), tuple(refusals)


def _protection(weight: Weight, choice: Choice) -> str:
    included, protected = _covers(choice.include, weight), _covers(choice.protect, weight)
    if included and protected:
        raise RecipeError(f"{weight.modules[0]!r} stands in both include and protect; leave it out of one")
    if protected:
        return "named in protect"
    role = _ROLES.get(weight.role)
    return f"{role} is protected; name it in include to prune it" if role and not included else ""


def _covers(patterns: Sequence[str], weight: Weight) -> bool:
    return any(covers(pattern, name) for name in weight.modules for pattern in patterns)


def _is_own(name: str) -> bool:
    return "parametrizations" not in name.split(".")


def _nothing_to_prune(pattern: str, modules: Mapping[str, nn.Module], unknown: Sequence[Refusal]) -> str:
    for refusal in unknown:
        if fnmatchcase(refusal.name.rpartition(".")[0], pattern):
            return f"{pattern!r} in include holds no weight to prune; {refusal.name!r}: {refusal.reason}"
    kinds = {type(module).__name__ for name, module in modules.items() if fnmatchcase(name, pattern)}
    return (
        f"{pattern!r} in include is of type {', '.join(sorted(kinds))} and holds no weight to prune;"
        " name a convolution, a linear layer, an attention or an embedding"
    )


def _nothing_left(weights: Sequence[Weight]) -> str:
    if not weights:
        kinds = "a convolution, a linear layer or an attention"
        return f"nothing in the model can be pruned: it has no weight of {kinds}; give another"
    names = ", ".join(repr(weight.modules[0]) for weight in weights[:3])
    return f"nothing is left to prune: {names} and all else is protected; name it in include, or take it from protect"
