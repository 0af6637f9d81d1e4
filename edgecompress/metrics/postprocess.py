"""Postprocessing: what a network's outputs become before the metric sees them, such as boxes, texts or thresholds.

A function of the outputs, as a metric would get them: an array, or where there is more than one all of them, by their
place or their name (:mod:`edgecompress.metrics.outputs`). It returns whatever the metric reads, for the same samples.
It is the same for the float network and the artifact, and gets NumPy arrays from both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgecompress.errors import USER_CODE_FAILS, RecipeError, first_line, plural
from edgecompress.metrics.described import described
from edgecompress.metrics.targets import is_array


@dataclass(frozen=True, kw_only=True)
class Postprocess:
    """A user's function, and what the recipe calls it."""

    name: str
    function: Callable[[Any], Any]

    def __call__(self, outputs: Any, rows: int, where: str) -> Any:
        """What becomes of the outputs of a batch.

        Args:
            outputs: an array, or a tuple of them.
            rows: the number of samples.
            where: the batch, in messages.

        Raises:
            RecipeError: the function fails, or gives nothing, or a list or an array for another number of samples.
        """
        try:
            found = self.function(outputs)
        except USER_CODE_FAILS as error:
            raise RecipeError(
                f"postprocess {self.name!r} raised {type(error).__name__} on {where}: {first_line(error)}; repair it:"
                f" it is given {described(outputs)}, of NumPy"
            ) from error
        if found is None:
            raise RecipeError(f"postprocess {self.name!r} gives None for {where}; return what the metric is given")
        if is_array(found) or isinstance(found, list):
            count = (tuple(found.shape) or (0,))[0] if is_array(found) else len(found)
            if count != rows:
                raise RecipeError(
                    f"postprocess {self.name!r} gives {plural(count, 'entry')} for"
                    f" {plural(rows, 'sample')} of {where}; return one for"
                    " each"
                )
        return found
