"""Checkpoints: which tensors of a file are a module's, whatever wrapped it and whatever was saved with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

DEEPEST = 4
"""Of mappings in mappings that are searched."""
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class SavedState:
    """Tensors of a checkpoint that are a module's.

    Attributes:
        keys: that lead to the mapping they stand in; empty for the whole file.
        prefix: what stands before their names there, and not in the module.
        tensors: by the names of the module.
        left_out: number of tensors in the mapping that are not the module's.
    """

    keys: tuple[str, ...]
    prefix: str
    tensors: Tensors
    left_out: int

    @property
    def place(self) -> str:
        """Where they stand, for messages.

        >>> SavedState(keys=("ema",), prefix="module.", tensors={}, left_out=0).place
        "['ema'], behind 'module.'"
        """
        keys = "".join(f"[{key!r}]" for key in self.keys)
        behind = f"behind {self.prefix!r}" if self.prefix else ""
        return ", ".join(filter(None, (keys, behind))) or "the whole file"

    @property
    def is_plain(self) -> bool:
        """Whether they are a whole mapping under the module's own names."""
        return not self.prefix and not self.left_out


def fitting_states(checkpoint: object, own: Tensors) -> list[SavedState]:
    """Those whose names and shapes are those of a module; the same values count once.

    Names may have a prefix that the module's lack, and the other way around.

    Args:
        checkpoint: nested mappings, as ``torch.load`` reads them.
        own: the module's state dict.

    >>> checkpoint = {"net": {"module.w": torch.ones(2)}, "epoch": 3}
    >>> [state.place for state in fitting_states(checkpoint, {"w": torch.zeros(2)})]
    ["['net'], behind 'module.'"]
    """
    found: list[SavedState] = []
    for keys, mapping in _mappings(checkpoint, ()):
        for state in _states(keys, mapping, own):
            if not any(_equal(state.tensors, other.tensors) for other in found):
                found.append(state)
    return found


def nearest_state(checkpoint: object, own: Tensors) -> Tensors | None:
    """The mapping with most of a module's names, behind a prefix of all of its own; None where no tensors are."""
    states = [
        {name.removeprefix(prefix): value for name, value in mapping.items()}
        for _, mapping in _mappings(checkpoint, ())
        for prefix in _prefixes_of_all(mapping)
    ]
    return max(states, key=lambda state: len(state.keys() & own.keys()), default=None)


def _mappings(checkpoint: object, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Tensors]]:
    """Every mapping that has tensors, with the keys that lead to it, the outer ones first."""
    if not isinstance(checkpoint, Mapping):
        return
    tensors = {key: value for key, value in checkpoint.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if tensors:
        yield keys, tensors
    if len(keys) < DEEPEST:
        for key, value in checkpoint.items():
            if isinstance(key, str):
                yield from _mappings(value, (*keys, key))


def _states(keys: tuple[str, ...], mapping: Tensors, own: Tensors) -> Iterator[SavedState]:
    for added in _prefixes_of_all(own):
        wanted = {name.removeprefix(added): name for name in own}
        for prefix in _prefixes_before(next(iter(wanted), ""), mapping):
            named = {key.removeprefix(prefix): value for key, value in mapping.items() if key.startswith(prefix)}
            if named.keys() == wanted.keys() and all(own[wanted[name]].shape == named[name].shape for name in named):
                tensors = {wanted[name]: value for name, value in named.items()}
                yield SavedState(keys=keys, prefix=prefix, tensors=tensors, left_out=len(mapping) - len(named))


def _prefixes_before(name: str, state: Tensors) -> dict[str, None]:
    """What stands before a name in a state, in the order that it has: nothing, or something up to a dot."""
    before = (key.removesuffix(name) for key in state if name and key.endswith(name))
    return dict.fromkeys(prefix for prefix in before if not prefix or prefix.endswith("."))


def _prefixes_of_all(state: Tensors) -> list[str]:
    """The beginnings, each up to a dot, that all names share; the empty one first."""
    first = next(iter(state), "").split(".")
    prefixes = ["".join(f"{part}." for part in first[:count]) for count in range(len(first))]
    return [prefix for prefix in prefixes if all(name.startswith(prefix) for name in state)] or [""]


def _equal(some: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    return all(value is others[name] or torch.equal(value, others[name]) for name, value in some.items())
