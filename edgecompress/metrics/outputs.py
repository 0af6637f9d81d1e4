"""The outputs of a network as a user's code is given them: the one that there is, or all in their order with names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgecompress.arrays import Array


class Outputs(tuple[Any, ...]):
    """Several outputs, by their place or their name in the exported file: ``outputs[0]``, ``outputs["boxes"]``."""

    names: tuple[str, ...]

    def __new__(cls, arrays: Sequence[Array], names: Sequence[str]) -> Outputs:
        """The arrays, and a name for each."""
        made = super().__new__(cls, arrays)
        made.names = tuple(names)
        return made

    def __getitem__(self, key: Any) -> Any:
        """The output of a place, or of a name.

        Raises:
            KeyError: no output has the name; the message lists those that there are.
        """
        if not isinstance(key, str):
            return super().__getitem__(key)
        if key not in self.names:
            raise KeyError(f"no output is called {key!r}, they are {', '.join(self.names)}")
        return super().__getitem__(self.names.index(key))


def given_outputs(arrays: Sequence[Array], names: Sequence[str]) -> Any:
    """An array where there is one output, else all with their names."""
    return arrays[0] if len(arrays) == 1 else Outputs(arrays, names)
