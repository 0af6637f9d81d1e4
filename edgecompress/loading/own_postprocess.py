"""A user's own postprocessing of outputs, as a :class:`Postprocess`."""

from __future__ import annotations

from typing import Any

from edgecompress.errors import RecipeError
from edgecompress.metrics.postprocess import Postprocess
from edgecompress.registry import takes


def own_postprocess(found: Any, name: str) -> Postprocess:
    """The function of a user's own.

    Raises:
        RecipeError: it cannot be called with the outputs.
    """
    if not callable(found) or not takes(found, 1):
        raise RecipeError(f"postprocess {name!r} cannot be called with (outputs); give a function of the outputs")
    return Postprocess(name=name, function=found)
