"""What is known of a row, and the file that keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgecompress.bundle.manifest import canonical
from edgecompress.errors import OutputError
from edgecompress.metrics.bootstrap import Interval
from edgecompress.metrics.metric import DEFAULT, PERCENT
from edgecompress.recipe.wording import ADVISES
from edgecompress.system.durable import replacing
from edgecompress.timing.ratios import Ratio

FILE = "comparison.json"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The latency of a row's artifact: ``speedup`` over the original's, between ``low`` and ``high`` at 95 %.

    ``doubts`` are reasons not to trust it.
    """

    median_ms: float
    speedup: float
    low: float
    high: float
    doubts: tuple[str, ...] = ()

    @property
    def ratio(self) -> Ratio:
        """The speedup with its interval."""
        return Ratio(value=self.speedup, low=self.low, high=self.high)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One row; ``missing`` says why there are no figures.

    ``digest`` is of all that the row is made of; ``accuracy`` is top-1 in percent, None without labels. ``metric`` is
    the name of what decided, ``metric_value`` and ``metric_drop`` its value and by how much that is worse than the
    original's, in its unit; of top-1 these are the accuracy and its drop. Between ``metric_drop_interval_95`` the drop
    lies at 95 %, and ``metric_verdict`` says whether it is one; None where that is not known. ``timing`` is from one
    run that all rows shared, and None until that.
    """

    key: str
    title: str
    digest: str
    missing: str | None = field(default=None, metadata=ADVISES)
    size_bytes: int | None = None
    compression_ratio: float | None = None
    accuracy: float | None = None
    accuracy_drop: float | None = None
    metric: str = DEFAULT
    metric_unit: str = PERCENT
    metric_value: float | None = None
    metric_drop: float | None = None
    metric_drop_interval_95: Interval | None = None
    metric_verdict: str | None = None
    timing: Timing | None = None

    def document(self) -> dict[str, Any]:
        """The same as plain data, for JSON, with what the speedup says."""
        timing = None if self.timing is None else {**asdict(self.timing), "verdict": self.timing.ratio.verdict}
        return {**asdict(self), "timing": timing}

    @property
    def remarks(self) -> tuple[str, ...]:
        """Why there are no figures, or why not to trust them."""
        if self.missing is not None:
            return (self.missing,)
        return () if self.timing is None else self.timing.doubts

    @property
    def there(self) -> bool:
        """Whether there is an artifact."""
        return self.missing is None


def keep(folder: Path, rows: Sequence[Measured]) -> None:
    """Write what is known, in place of what was."""
    document = {"format_version": FORMAT, "rows": [asdict(row) for row in rows]}
    try:
        with replacing(folder / FILE) as file:
            file.write(canonical(document))
    except OSError as error:
        raise OutputError(f"{str(folder / FILE)!r} cannot be written: {error.strerror}; free some room") from error


def recall(folder: Path) -> dict[str, Measured]:
    """The rows that a former run kept, by key; a file that is none counts as none.

    Raises:
        OutputError: it is of a newer version.
    """
    try:
        document: Mapping[str, Any] = json.loads((folder / FILE).read_text())
        version = document["format_version"]
        rows = [_row(entry) for entry in document["rows"]] if version == FORMAT else []
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    if isinstance(version, int) and version > FORMAT:
        raise OutputError(
            f"{str(folder / FILE)!r} is of format {version}, which this edgecompress does not know; choose another"
            " --output, or upgrade"
        )
    return {row.key: row for row in rows}


def _row(entry: Mapping[str, Any]) -> Measured:
    timing = entry["timing"]
    if timing is not None:
        timing = Timing(**{**timing, "doubts": tuple(timing.get("doubts", ()))})
    interval = entry.get("metric_drop_interval_95")
    return Measured(
        **{**entry, "timing": timing, "metric_drop_interval_95": None if interval is None else tuple(interval)}
    )
