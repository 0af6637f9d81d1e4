"""The device of a call: its URL, and keys of the table ``device``."""

from __future__ import annotations

from edgecompress.errors import RecipeError
from edgecompress.recipe.arguments import Overrides, assignments
from edgecompress.recipe.device import Device
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Recipe


def device_table(url: str | None, overrides: Overrides) -> Device:
    """The table of the device as the caller has it.

    Raises:
        RecipeError: a key is of another table, or a value is wrong.
    """
    given = assignments("overrides", overrides)
    others = [text.partition("=")[0].strip() for text in given if not text.strip().startswith("device.")]
    if others:
        raise RecipeError(
            f"{others[0]!r} is of the run that made the bundle; give keys of the table 'device' alone, as"
            " device.python=PATH"
        )
    table = override(Recipe(), given).device
    return table if url is None else table.model_copy(update={"url": url})
