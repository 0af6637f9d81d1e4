"""Sizes, times, decibels, metrics and outcomes as people read them, with the unit."""

from __future__ import annotations

from edgecompress.metrics.metric import DEFAULT, PERCENT
from edgecompress.metrics.slices import IDENTICAL_DB


def kilobytes(size_bytes: float) -> str:
    """Bytes as kB (10^3) or MB (10^6).

    >>> kilobytes(2797819)
    '2.80 MB'
    """
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.1f} kB"


def count(number: int) -> str:
    """A number of things, in thousands (k), millions (M) or billions (G).

    >>> count(12), count(36864), count(40_800_000)
    ('12', '36.9k', '40.8M')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{letter}"
    return str(number)


def milliseconds(value_ms: float) -> str:
    """Milliseconds with three significant digits.

    >>> milliseconds(3.1), milliseconds(1234.5)
    ('3.10 ms', '1234 ms')
    """
    number = f"{value_ms:#.3g}".rstrip(".") if value_ms < 1000 else f"{value_ms:.0f}"
    return f"{number} ms"


def decibels(value_db: float) -> str:
    """An agreement in dB, or ``identical``.

    >>> decibels(200.0)
    'identical'
    """
    return "identical" if value_db >= IDENTICAL_DB else f"{value_db:.1f} dB"


def percent(value: float) -> str:
    """A share in percent.

    >>> percent(77.6923)
    '77.69 %'
    """
    return f"{value:.2f} %"


def metric(value: float, unit: str) -> str:
    """A value of a metric: percent with two digits behind the point, others with four digits.

    >>> metric(77.6923, "%"), metric(0.0312345, "m"), metric(0.5, "")
    ('77.69 %', '0.03123 m', '0.5000')
    """
    return percent(value) if unit == PERCENT else f"{value:#.4g} {unit}".rstrip()


def metric_change(before: float, after: float, unit: str) -> str:
    """How a metric changed, of percent in points.

    >>> metric_change(77.5, 76.25, "%"), metric_change(0.5, 0.75, "m")
    ('-1.25 points', '+0.2500 m')
    """
    return f"{signed(after - before, unit)} {'points' if unit == PERCENT else unit}".rstrip()


def signed(difference: float, unit: str) -> str:
    """A difference of two values of a metric as a number with its sign.

    >>> signed(-1.25, "%"), signed(0.25, "m")
    ('-1.25', '+0.2500')
    """
    return f"{difference:+.2f}" if unit == PERCENT else f"{difference:+#.4g}"


def metric_title(name: str) -> str:
    """What a table calls a metric by its name in a recipe.

    >>> metric_title("top1"), metric_title("miou"), metric_title("scores.py:dice")
    ('accuracy, top-1', 'miou', 'dice')
    """
    return "accuracy, top-1" if name == DEFAULT else name.rpartition(":")[2]


def times(ratio: float) -> str:
    """The factor of a change, whichever way it goes; the words ``faster`` or ``slower`` are the reader's.

    >>> times(2.3), times(0.5)
    ('2.30x', '2.00x')
    """
    return f"{max(ratio, 1 / ratio):.2f}x"


def outcome(name: str) -> str:
    """What became of a budget.

    >>> outcome("pass"), outcome("fail"), outcome("not measured"), outcome("too noisy to say")
    ('within budget', 'missed', 'not measured', 'too noisy to say')
    """
    return {"pass": "within budget", "fail": "missed"}.get(name, name)  # a verdict  # nosec B105
