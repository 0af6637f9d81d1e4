"""The device of a call: its URL, and keys of the table ``device``."""

from __future__ import annotations

from edgecompress.errors import RecipeError
from edgecompress.recipe.arguments import Overrides, assignments
from edgecompress.recipe.device import Device
from edgecompress.recipe.overrides import keys_of, override
from edgecompress.recipe.tables import Recipe


def device_table(url: str | None, overrides: Overrides) -> Device:
    """The table of the device as the caller has it.

    Raises:
        RecipeError: a key is of another table, or a value is wrong.
    """
    given = assignments("overrides", overrides)
    others = [key for key in keys_of(given) if not key.startswith("device.")]
    if others:
        raise RecipeError(
            f"{others[0]!r} was fixed when the bundle was made; give only keys of the table 'device', such as"
            " device.python=PATH"
        )
    table = override(Recipe(), given).device
    return table if url is None else table.model_copy(update={"url": url})
