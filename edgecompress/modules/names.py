"""Names of modules in a recipe: a name stands for all that is in the module, ``*`` and ``?`` are wildcards."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import accumulate

from torch import nn

from edgecompress.errors import RecipeError, nearest


def covers(pattern: str, name: str) -> bool:
    """Whether a pattern names a module or one that holds it.

    >>> covers("layer?", "layer1.0.conv"), covers("layer1", "layer10.conv")
    (True, False)
    """
    return any(fnmatchcase(part, pattern) for part in accumulate(name.split("."), "{}.{}".format))


def check_names(patterns: Sequence[str], module: nn.Module, key: str = "pruning.protect") -> None:
    """Refuse a pattern that names nothing; ``key`` is where the user wrote it.

    Raises:
        RecipeError: with the nearest name.
    """
    known = [name for name, _ in module.named_modules() if name]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            suggestion = nearest(pattern, known, "; inspect lists the names")
            raise RecipeError(f"{key!r} names {pattern!r}, which the model does not have{suggestion}")
