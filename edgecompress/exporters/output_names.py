"""What the outputs of a network are called: in the exported file, and where a user's code is given them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from edgecompress.arrays import Array, Inputs
from edgecompress.runtime import flatten, tensors


def names_of(outputs: Any, inputs: Collection[str]) -> list[str]:
    """A name for each leaf of nested outputs, in the order in which ``torch.export`` lists them.

    It is the key in a dict, ``output`` for a single one, ``output_0``, ... in a tuple, the path where they are nested.

    Args:
        outputs: what a network returns, or the same structure of anything else.
        inputs: names that are taken.

    >>> names_of({"boxes": 0, "scores": (1, 2)}, ["boxes"]), names_of([0, 1], []), names_of(0, [])
    (['output_boxes', 'scores_0', 'scores_1'], ['output_0', 'output_1'], ['output'])
    """
    paths = [path for path, _ in pytree.tree_flatten_with_path(outputs)[0]]
    names = ["_".join(_key(part) for part in path) for path in paths]
    names = [name if name and not name[0].isdigit() else f"output_{name}".rstrip("_") for name in names]
    return [f"output_{name}" if name in inputs else name for name in names]


def names_of_tensors(outputs: Any, inputs: Collection[str]) -> list[str]:
    """The names of the tensors among them."""
    leaves = pytree.tree_leaves(outputs)
    names = names_of(outputs, inputs)
    return [name for name, leaf in zip(names, leaves, strict=True) if isinstance(leaf, torch.Tensor)]


def named_outputs(network: nn.Module, inputs: Inputs) -> dict[str, Array]:
    """The output tensors of a module by their names, in order."""
    with torch.no_grad():
        outputs = network(**tensors(inputs))
    return dict(zip(names_of_tensors(outputs, inputs), flatten(outputs), strict=True))


def _key(part: Any) -> str:
    for attribute in ("key", "idx", "name"):
        if hasattr(part, attribute):
            return str(getattr(part, attribute))
    return str(part)
