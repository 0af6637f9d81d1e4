"""Sizes, times, decibels, metrics and outcomes as people read them, with the unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgecompress.errors import plural
from edgecompress.metrics.metric import DEFAULT, PERCENT
from edgecompress.metrics.slices import IDENTICAL_DB

MOST = 1e15
"""Where a number is written as a power of ten."""


def kilobytes(size_bytes: float) -> str:
    """Bytes as kB (10^3), MB (10^6) or GB (10^9); fewer than 100 are written out.

    >>> kilobytes(5e9), kilobytes(2797819), kilobytes(303_000), kilobytes(24)
    ('5.00 GB', '2.80 MB', '303.0 kB', '24 bytes')
    """
    if size_bytes >= 999_995_000:  # else they are 1000.00 MB
        return f"{size_bytes / 1e9:.2f} GB"
    if size_bytes >= 999_950:  # else they are 1000.0 kB
        return f"{size_bytes / 1e6:.2f} MB"
    return f"{size_bytes / 1e3:.1f} kB" if size_bytes >= 100 else plural(round(size_bytes), "byte")


def count(number: int) -> str:
    """A number of things, in thousands (k), millions (M) or billions (G).

    >>> count(12), count(36864), count(40_800_000)
    ('12', '36.9k', '40.8M')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= (0.99995 * size if size > 1e3 else size):  # else they are 1000.0 of the next smaller one
            return f"{number / size:.1f}{letter}"
    return str(number)


def milliseconds(value_ms: float) -> str:
    """Milliseconds with three significant digits.

    >>> milliseconds(3.1), milliseconds(1234.5)
    ('3.10 ms', '1234 ms')
    """
    return f"{_digits(value_ms, 3)} ms"


def duration(seconds: float) -> str:
    """A time to wait, in one unit, or in hours and minutes.

    >>> duration(0.2), duration(45), duration(200), duration(8000)
    ('1 s', '45 s', '3 min', '2 h 13 min')
    """
    if seconds < 100:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def decibels(value_db: float) -> str:
    """An agreement in dB, or ``identical``.

    >>> decibels(200.0)
    'identical'
    """
    return "identical" if value_db >= IDENTICAL_DB else f"{value_db:z.1f} dB"


def percent(value: float) -> str:
    """A share in percent.

    >>> percent(77.6923)
    '77.69 %'
    """
    return f"{value:z.2f} %"


def share(value: float, digits: int = 2) -> str:
    """A share in percent, with so many digits behind the point; only all is 100, and only none is 0.

    >>> share(1.25), share(-0.25)
    ('125.00 %', '-25.00 %')
    >>> share(0.875), share(1.0), share(0.999999), share(0.0), share(1e-6)
    ('87.50 %', '100.00 %', '99.99 %', '0.00 %', '0.01 %')
    >>> share(0.99996, 1), share(1.0, 1)
    ('99.9 %', '100.0 %')
    """
    least = 10.0**-digits
    return f"{min(max(100 * value, least), 100 - least) if 0 < value < 1 else 100 * value:z.{digits}f} %"


def metric(value: float, unit: str) -> str:
    """A value of a metric: percent with two digits behind the point, others with four digits.

    >>> metric(77.6923, "%"), metric(0.0312345, "m"), metric(0.5, "")
    ('77.69 %', '0.03123 m', '0.5000')
    """
    return percent(value) if unit == PERCENT else f"{_digits(value, 4)} {unit}".rstrip()


def metric_change(before: float, after: float, unit: str) -> str:
    """How a metric changed, of percent in points.

    >>> metric_change(77.5, 76.25, "%"), metric_change(0.5, 0.75, "m")
    ('-1.25 points', '+0.2500 m')
    """
    return f"{signed(after - before, unit)} {'points' if unit == PERCENT else unit}".rstrip()


def signed(difference: float, unit: str) -> str:
    """A difference of two values of a metric as a number with its sign; what is printed as zero has none.

    >>> signed(-1.25, "%"), signed(0.25, "m"), signed(-0.001, "%"), signed(0.0, "m")
    ('-1.25', '+0.2500', '0.00', '0.000')
    """
    number = f"{difference:z.2f}" if unit == PERCENT else _digits(difference, 4)
    return f"+{number}" if difference > 0 and float(number) else number


def metric_title(name: str) -> str:
    """What a table calls a metric by its name in a recipe.

    >>> metric_title("top1"), metric_title("miou"), metric_title("scores.py:dice")
    ('accuracy, top-1', 'miou', 'dice')
    """
    return "accuracy, top-1" if name == DEFAULT else name.rpartition(":")[2]


PLAIN = ("points", "x", "ms", "MB", "dB")
"""Units of budgets with two digits behind the point; a metric has a unit of its own."""


def budget(value: float, unit: str) -> str:
    """What was measured of a budget.

    >>> budget(3.918, "x"), budget(-0.001, "points"), budget(1.0, "slices"), budget(0.875, "share"), budget(0.5, "")
    ('3.92 x', '0.00 points', '1 slice', '87.50 %', '0.5000')
    """
    if unit == "share":
        return share(value)
    if unit in ("slices", "nodes"):
        return plural(round(value), unit.removesuffix("s"))
    return f"{value:z.2f} {unit}" if unit in PLAIN else metric(value, unit)


def limit(value: float, unit: str) -> str:
    """The limit of a budget.

    >>> limit(1.5, "points"), limit(1, "points"), limit(0, "slices"), limit(0.995, "share"), limit(0.5, "")
    ('1.5 points', '1 point', '0 slices', '99.5 %', '0.5')
    """
    if unit == "share":
        return f"{100 * value:z.15g} %"
    return f"{value:z.15g} {unit.removesuffix('s') if unit != 'ms' and value == 1 else unit}".rstrip()


def times(ratio: float) -> str:
    """The factor of a change, whichever way it goes; the words ``faster`` or ``slower`` are the reader's.

    >>> times(2.3), times(0.5)
    ('2.30x', '2.00x')
    """
    return f"{max(ratio, 1 / ratio):.2f}x"


def judged_in_words(entry: Mapping[str, Any]) -> str:
    """The metric on the samples that were run at another place: there, here, and of the float model where it is known.

    >>> found = {"name": "top1", "unit": "%", "there": 0, "here": 100, "original": None}
    >>> judged_in_words({"samples": 1, "metric": found})
    'top-1 on 1 sample: 0.00 % there, 100.00 % here'
    """
    found = entry["metric"]
    values = {"there": found["there"], "here": found["here"], "for the float model": found["original"]}
    told = [f"{metric(value, found['unit'])} {where}" for where, value in values.items() if value is not None]
    title = metric_title(found["name"]).removeprefix("accuracy, ")
    return f"{title} on {plural(entry['samples'], 'sample')}: {', '.join(told)}"


def outcome(name: str) -> str:
    """What became of a budget.

    >>> outcome("pass"), outcome("fail"), outcome("not measured"), outcome("too noisy to say")
    ('within budget', 'missed', 'not measured', 'too noisy to say')
    """
    return {"pass": "within budget", "fail": "missed"}.get(name, name)  # a verdict  # nosec B105


def _digits(value: float, count: int) -> str:
    """A number with so many significant digits; all those before the point are written out, up to 10^15.

    >>> _digits(999.7, 3), _digits(12345.6, 4), _digits(0.00001234, 3), _digits(-0.0, 3)
    ('1000', '12346', '1.23e-05', '0.00')
    """
    written = f"{value:z#.{count}g}"
    if "e+" in written and abs(value) < MOST:
        return f"{value:.0f}"
    return written.rstrip(".")
