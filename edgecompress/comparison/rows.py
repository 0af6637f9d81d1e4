"""The rows of the reference table, each a target with its techniques."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecompress.errors import RecipeError, nearest
from edgecompress.recipe.tables import Recipe
from edgecompress.targets import TargetProfile, effective_profile

OWN = ":"
"""What stands between the key of a row and an override for only that row."""
FOLDER = re.compile(r"[A-Za-z0-9_-]+")
"""Keys of rows, which are names of folders, too."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: a target, what is changed in it, and the data without which the row says nothing.

    ``title`` is what it is called; by default its techniques.
    """

    key: str
    target: str
    changes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    title: str | None = None


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


def with_recipes(recipes: Sequence[str | Path]) -> tuple[Row, ...]:
    """The rows of the table, and one for each recipe of the user's own, called as its file.

    Args:
        recipes: paths of TOML files, such as ``recipe.toml`` of a bundle, or names of targets.

    Raises:
        RecipeError: two rows would have one name, or one that no folder can have.

    >>> [row.key for row in with_recipes(["mine.toml", "mobile"])[len(ROWS):]]
    ['mine', 'mobile']
    """
    rows = list(ROWS)
    for recipe in recipes:
        key = Path(recipe).stem
        if not FOLDER.fullmatch(key):
            raise RecipeError(f"{str(recipe)!r} gives a row no name; call the file by letters, digits, '-' and '_'")
        if key in {row.key for row in rows}:
            raise RecipeError(f"there is another row {key!r}; call {str(recipe)!r} otherwise")
        rows.append(Row(key=key, target=str(recipe), title=key))
    return tuple(rows)


def profiles_of(overrides: Sequence[str], rows: Sequence[Row] = ROWS) -> dict[str, TargetProfile]:
    """The profile of each row, by its key.

    Args:
        overrides: ``KEY=VALUE`` for all rows, ``ROW:KEY=VALUE`` for one.
        rows: of the table.

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
        known = [row.key for row in rows]
        if key not in known:
            raise RecipeError(f"there is no row {key!r}{nearest(key, known)}; the rows are {', '.join(known)}")
        own.setdefault(key, []).append(assignment.removeprefix(key + OWN))
    return {row.key: effective_profile(row.target, [*row.changes, *shared, *own.get(row.key, ())]) for row in rows}


def needed(row: Row, recipe: Recipe) -> tuple[str, ...]:
    """The data without which a row says nothing, or a recipe of the user's own cannot run."""
    trains = "distillation" in recipe.techniques or (
        "quantization" in recipe.techniques and recipe.quantization.training == "always"
    )
    return row.needs if row.title is None else ("train",) * trains


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
