"""What the file of a pruned network says before any value is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgecompress.errors import ModelError
from edgecompress.pruning.reload.blueprint import Blueprint


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A network in a file, without its values.

    Attributes:
        name: of the file, for messages.
        blueprint: of the network.
        shapes: of its tensors, each under its first name.
        floating: the names of those that hold floating-point numbers.
    """

    name: str
    blueprint: Blueprint
    shapes: Mapping[str, tuple[int, ...]]
    floating: frozenset[str]

    def misfit(self, reason: str) -> ModelError:
        """The error that says why the file is that of another model."""
        return ModelError(
            f"{self.name!r} does not fit the model ({reason}); give an instance of the pruned class, built as it was"
        )
