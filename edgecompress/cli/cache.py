"""``edgecompress cache``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edgecompress.cli.tables import console, print_json
from edgecompress.errors import InputError, plural
from edgecompress.recipe.quantities import number_with_unit
from edgecompress.units import kilobytes

if TYPE_CHECKING:
    from edgecompress.system.cache import Cache

MEGABYTE = 10**6


def run(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all entries.")] = False,
    limit: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Keep no more from now on: 500MB, 5GB; 0 keeps nothing.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show what searches keep for each other, clear it, or limit it."""
    from edgecompress.system.cache import Cache, cache_folder

    cache = Cache(cache_folder(), lambda _: None)
    if limit is not None:
        cache.set_limit(bytes_of(limit))
    if clear:
        cache.clear()
    if as_json:
        print_json({"folder": str(cache.folder), **asdict(cache.usage())})
    else:
        _print_usage(cache)
    return 0


def bytes_of(text: str) -> int:
    """A size as it is written, in bytes.

    Raises:
        InputError: it is none.

    >>> bytes_of("500MB"), bytes_of("1.5 GB"), bytes_of("0")
    (500000000, 1500000000, 0)
    """
    # A number alone would be megabytes here, and bytes elsewhere.
    number = 0.0 if text.strip() == "0" else None if text.strip()[-1:].isdigit() else number_with_unit("size_mb", text)
    if number is None or not 0 <= number < 10**12:
        raise InputError(f"a limit of {text!r} is no size; give one with its unit, as in --limit 5GB")
    return round(number * MEGABYTE)


def _print_usage(cache: Cache) -> None:
    usage, out = cache.usage(), console()
    size, limit = kilobytes(usage.size_bytes), kilobytes(usage.limit_bytes)
    out.print(f"{plural(usage.entries, 'entry')}, {size} of {limit}", highlight=False)
    out.print(f"folder: {cache.folder}", highlight=False, markup=False, soft_wrap=True)
