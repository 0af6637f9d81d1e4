"""What an analysis found, written as letters: indices with the same letter are removed together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from edgecompress.pruning.structure.analysis import Structure, analyse
from edgecompress.pruning.structure.data_dependent import pin_sizes

Place = tuple[str, int]


class Written(nn.Module):
    """A network that is a function of its parameters and an input."""

    def __init__(self, forward: Callable[..., Any], shapes: dict[str, tuple[int, ...]]) -> None:
        super().__init__()
        self._forward = forward
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(shape)))

    def forward(self, x: Tensor) -> Any:
        return self._forward(x, **dict(self.named_parameters()))


def structure_of(forward: Callable[..., Any], x: Tensor | tuple[int, ...], **shapes: tuple[int, ...]) -> Structure:
    """The structure of a function of an input and of parameters with the given shapes."""
    network = Written(forward, shapes)
    example = x if isinstance(x, Tensor) else torch.randn(x)
    with torch.no_grad():
        return analyse(pin_sizes(torch.export.export(network, (example,))))


def pattern(structure: Structure, *places: Place) -> list[str]:
    """For each axis of a tensor a letter for each index, in order of appearance; ``.`` for what stays.

    Of several labellings along one axis, which occur only where a tensor has them, the first counts.
    """
    letters: dict[int, str] = {}
    found = []
    for name, axis in places:
        own = [classes.tolist() for at, classes in structure.tensors[name].axes if at == axis]
        word = ""
        for unit in own[0] if own else [0] * structure.tensors[name].shape[axis]:
            stays = unit == 0 or unit in structure.frozen
            word += "." if stays else letters.setdefault(unit, chr(ord("a") + len(letters)))
        found.append(word)
    return found


def reasons(structure: Structure, name: str, axis: int) -> set[str]:
    """Why indices of a tensor's axis stay."""
    units = [unit for at, classes in structure.tensors[name].axes if at == axis for unit in classes.tolist()]
    return {structure.frozen[unit] for unit in units if unit in structure.frozen}
