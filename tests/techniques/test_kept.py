"""Entries are known by all that decides about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.recipe.tables import Pruning, Quantization, Recipe
from edgecompress.system.cache import Cache
from edgecompress.techniques.kept import READING, Kept, without_integers

MADE_OF = {"network": "a", f"{READING}calibration": "b", f"{READING}train": "c"}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(cache=Cache(tmp_path, lambda line: pytest.fail(line)), made_of=MADE_OF)


def test_a_key_depends_on_all_that_it_is_made_of(kept: Kept) -> None:
    found = {
        kept.key("step", names=["prune"]),
        kept.key("graph", names=["prune"]),
        kept.key("step", names=["prune", "export"]),
        kept.of_data(["calibration"]).key("step", names=["prune"]),
        kept.of_data([]).key("step", names=["prune"]),
    }
    assert len(found) == 5
    assert kept.of_data(["calibration", "train"]).key("step", names=["prune"]) in found
    assert dict(kept.of_data(["train"]).made_of) == {"network": "a", f"{READING}train": "c"}


def test_values_are_made_once(kept: Kept) -> None:
    def make() -> dict[str, list[float]]:
        made.append(1)
        return {"layer": [0.1, 1 / 3]}

    made: list[int] = []
    assert kept.values(kept.key("a"), make) == kept.values(kept.key("a"), make) == {"layer": [0.1, 1 / 3]}
    assert len(made) == 1
    kept.cache.write(kept.key("a"), b"{no JSON")
    assert kept.values(kept.key("a"), make) == {"layer": [0.1, 1 / 3]}
    assert len(made) == 2


def test_recipes_that_differ_in_their_integers_are_alike_before_them() -> None:
    recipes = (Recipe(), Recipe(quantization=Quantization(enabled=True)), Recipe(pruning=Pruning(amount=0.3)))
    first, integers, pruned = map(without_integers, recipes)
    assert first == integers != pruned
