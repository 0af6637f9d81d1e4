"""Hints of residual blocks: what a network that was made smaller learns of each block beside the outputs."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from edgecompress.capture import capture
from edgecompress.pruning.blocks import Shortcut, find_blocks
from edgecompress.techniques.course import Course
from edgecompress.training import Hint


def block_hints(model: nn.Module, weight: float, course: Course) -> tuple[Hint, ...]:
    """A hint for each residual block: what it hands on is what it did in the original.

    A block before one that left the network stands for both: only what comes out of the second is compared. Where the
    user gave a teacher, none of its blocks need correspond to one of the model, and there are no hints.

    Args:
        model: made smaller from the original, under the same names.
        weight: of each; 0 for none.
        course: the original and its teacher.
    """
    if not weight or course.teacher is not course.original:
        return ()
    program = capture(course.original, course.example, course.recipe.export)
    names = [block.name for block in find_blocks(course.original, program)]
    merged = {first for first, second in pairwise(names) if _parent(first) == _parent(second) and _left(model, second)}
    return tuple(Hint(name, weight=weight) for name in names if name not in merged)


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _left(model: nn.Module, name: str) -> bool:
    return isinstance(model.get_submodule(name), Shortcut)
