"""The rows of the reference table, each a target with its techniques."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecompress.errors import RecipeError, nearest
from edgecompress.recipe.tables import Recipe
from edgecompress.targets import TargetProfile, effective_profile

OWN = ":"
"""What stands between the key of a row and an override for that row alone."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: a target, what is changed in it, and the data without which the row says nothing."""

    key: str
    target: str
    changes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


ROWS = (
    Row(key="original", target="cloud", changes=("pruning.enabled=false",)),
    Row(key="pruned", target="cloud", changes=("pruning.goal=parameters",), needs=("train",)),
    Row(key="int8", target="edge", changes=("pruning.enabled=false",), needs=("calibration",)),
    Row(key="distilled", target="realtime", needs=("train",)),
    Row(
        key="low-rank",
        target="cloud",
        changes=("pruning.enabled=false", "low_rank.enabled=true", "low_rank.multiple=8"),
        needs=("train",),
    ),
    Row(key="pruned-int8", target="edge", changes=("pruning.goal=parameters",), needs=("calibration", "train")),
)


def profiles_of(overrides: Sequence[str]) -> dict[str, TargetProfile]:
    """The profile of each row, by its key.

    Args:
        overrides: ``KEY=VALUE`` for all rows, ``ROW:KEY=VALUE`` for one.

    Raises:
        RecipeError: there is no such row or key, or a value does not fit.

    >>> profiles_of(["pruned:pruning.amount=0.25"])["pruned"].recipe.pruning.amount
    0.25
    """
    shared, own = [], dict[str, list[str]]()
    for assignment in overrides:
        key, separator, _ = assignment.partition("=")[0].partition(OWN)
        if not separator:
            shared.append(assignment)
            continue
        known = [row.key for row in ROWS]
        if key not in known:
            raise RecipeError(f"there is no row {key!r}{nearest(key, known)}; the rows are {', '.join(known)}")
        own.setdefault(key, []).append(assignment.removeprefix(key + OWN))
    return {row.key: effective_profile(row.target, [*row.changes, *shared, *own.get(row.key, ())]) for row in ROWS}


def title_of(recipe: Recipe) -> str:
    """What a row is called: its techniques, with how much is pruned.

    >>> title_of(profiles_of([])["pruned-int8"].recipe)
    'pruned 50 % + INT8'
    """
    words = {
        "pruning": f"pruned {100 * recipe.pruning.amount:.0f} %",
        "low_rank": "low rank",
        "distillation": "distilled",
        "quantization": "INT8",
    }
    return " + ".join(words[name] for name in recipe.techniques) or "original"
