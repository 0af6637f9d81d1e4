"""What is known of a bundle's measures: a row for each, taken now or when the bundle was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgecompress.errors import OutputError
from edgecompress.exporters.bundle import Bundle

HERE, RECORDED = "measured here", "recorded"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measure, its value, and whether it was taken now or when the bundle was written."""

    measure: str
    value: float | None
    unit: str
    source: str

    @property
    def text(self) -> str:
        """The value with its unit."""
        return "not measured" if self.value is None else f"{self.value:#.4g} {self.unit}".rstrip()


def recorded(bundle: Bundle, measure: str, path: tuple[str, ...], unit: str) -> Row:
    """A measure as the manifest has it, under ``metrics``."""
    return Row(measure=measure, value=recorded_number(bundle, *path), unit=unit, source=RECORDED)


def recorded_number(bundle: Bundle, *path: str) -> float | None:
    """A number of the manifest, which a stranger may have written; None where there is none.

    Raises:
        OutputError: something else stands there.
    """
    value: Any = bundle.manifest.metrics
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        name = ".".join(("metrics", *path))
        raise OutputError(f"bundle {str(bundle.path)!r}: {name!r} of its manifest is no number; compress again")
    return value
