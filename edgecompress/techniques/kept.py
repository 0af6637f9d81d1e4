"""What runs on the same network and data keep for each other: entries of a cache, under all that decides about them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from edgecompress.recipe.tables import Recipe
from edgecompress.recipe.toml import recipe_tables
from edgecompress.system.cache import Cache

READING = "reading of "
"""What stands in front of a role of data in what entries are made of."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A cache, and what all that is looked up in it is made of.

    Attributes:
        cache: where entries lie.
        made_of: digests of the network, the data, the code and the machine, by what they are of.
    """

    cache: Cache
    made_of: Mapping[str, str]

    def key(self, what: str, **parts: Any) -> str:
        """The key of an entry.

        Args:
            what: kind of the entry.
            parts: what else decides about it, as JSON holds it.
        """
        document = {"what": what, "made_of": dict(self.made_of), "parts": parts}
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    def of_data(self, roles: Collection[str]) -> Kept:
        """The same for runs that are given no data but those of these roles."""
        read = {f"{READING}{role}" for role in roles}
        made_of = {key: value for key, value in self.made_of.items() if not key.startswith(READING) or key in read}
        return replace(self, made_of=made_of)

    def values(self, key: str, make: Callable[[], Any]) -> Any:
        """Values that JSON can hold: as they are kept, or made now and kept.

        Args:
            key: of the entry.
            make: gives them; what JSON gives back of them has to be equal.
        """
        found = self.cache.read(key)
        with suppress(ValueError):  # it is no JSON
            if found is not None:
                return json.loads(found)
        made = make()
        self.cache.write(key, json.dumps(made).encode())
        return made


def without_integers(recipe: Recipe) -> dict[str, Any]:
    """A recipe as decides about all that comes before its integers.

    >>> "quantization" in without_integers(Recipe())
    False
    """
    return {key: value for key, value in recipe_tables(recipe).items() if key != "quantization"}
