"""Noise: what a set of timed runs cannot say, because the machine had other things to do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecompress.timing.ratios import Ratio
from edgecompress.units import milliseconds

DRIFT = 0.1
"""Change of the median from the first half of the runs to the second."""
TRUST = "trust the ratio, not the milliseconds"
DISTRUST = "neither the milliseconds nor the ratio say much"
TAIL = 2.0
"""p95 as a multiple of the median; an undisturbed single thread stays below 1.2."""
IN_THE_RECIPE = "cpu.runs"
"""The key of a recipe that says how many runs are timed."""


def advice(runs: str = IN_THE_RECIPE) -> str:
    """What helps on a noisy machine.

    Args:
        runs: what a caller sets to have more runs.

    >>> advice("--runs 1000")
    'take more runs (--runs 1000), or stop other programs'
    """
    return f"take more runs ({runs}), or stop other programs"


def doubts_of(
    times_ms: NDArray[np.float64],
    ratio: Ratio,
    runs: str = IN_THE_RECIPE,
    *,
    first_ms: NDArray[np.float64] | None = None,
) -> tuple[str, ...]:
    """Reasons not to trust the figures of a file, a line each; nothing on a quiet machine.

    Args:
        times_ms: of the runs in their order, (runs,).
        ratio: of the first file to this one.
        runs: what a caller sets to have more runs.
        first_ms: of the first file in the same rounds, (runs,), where its median is shown next to the ratio.
    """
    found = []
    if ratio.verdict == "too noisy to say":
        found.append(f"too noisy to say: a difference below {ratio.resolution:.0%} would not be seen; {advice(runs)}")
    before, after = (float(np.median(half)) for half in np.array_split(times_ms, 2))
    if max(before, after) > (1 + DRIFT) * min(before, after):
        halves = f"{milliseconds(before)} in the first half of the runs, {milliseconds(after)} in the second"
        found.append(f"the machine changed its speed: {halves}; {_trust(TRUST, ratio, runs)}")
    if first_ms is not None and (told := _other_ratio(float(np.median(first_ms) / np.median(times_ms)), ratio, runs)):
        found.append(told)
    median, p95 = np.percentile(times_ms, [50, 95])
    if p95 > TAIL * median:
        found.append(f"p95 is {p95 / median:.1f} times the median; other programs disturbed p95 and p99")
    return tuple(found)


def _trust(trusted: str, ratio: Ratio, runs: str) -> str:
    """What is to be trusted, where the interval of the ratio is narrow; else what helps."""
    return f"{DISTRUST}: {advice(runs)}" if ratio.is_wide else trusted


def _other_ratio(of_medians: float, ratio: Ratio, runs: str) -> str:
    """Why two medians say something else than the ratio, which is taken round by round; empty where they do not."""
    apart = max(of_medians / ratio.value, ratio.value / of_medians)
    if ratio.low <= of_medians <= ratio.high or apart <= 1 + DRIFT:
        return ""
    rounds = f"{ratio.value:.2f}x"
    span = f" ({ratio.low:.2f}-{ratio.high:.2f})" if ratio.is_wide else ""
    return (
        f"the medians make {of_medians:.2f}x, the rounds one by one {rounds}{span}: the machine changed its speed"
        f" between rounds; {_trust(f'trust the {rounds}', ratio, runs)}"
    )
