"""Coverage: integers stand for the range that the observer decided on, and that range for what was seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgecompress.calibration.clip_search import Levels, error_of
from edgecompress.calibration.histogram import Histogram
from edgecompress.calibration.schemes import EPSILON, LEAST_ACTIVATION_SCALE, QuantParams, Scheme
from edgecompress.errors import OUR_FAULT, EdgecompressError, RecipeError
from edgecompress.registry import NamedFunction

TRUE_TO_ERROR = ("min_max", "mse", "histogram")
"""Observers that clip no more than pays in squared error; the others clip for reasons of their own."""
MOST_LOSS = 16.0
"""Squared error of their ranges, as a multiple of that of the whole extent: the histogram observer may lose 8 times as
much by its first quantile step. A range 8 times too narrow loses 40 times as much and more."""
FAINTEST = 256 * LEAST_ACTIVATION_SCALE
"""A step below which a part of the extent may count as zero where all of it does not."""


def require_range(name: str, histogram: Histogram, decided: tuple[float, float], observer: NamedFunction) -> None:
    """Hold the range of a tensor against what was counted.

    Args:
        name: of the tensor.
        histogram: what was counted.
        decided: the range that the observer chose, in the tensor's unit.
        observer: whose fault it is.

    Raises:
        RecipeError: the range lies outside the extent, and the observer is not the package's own.
        EdgecompressError: the same of an observer of the package.
    """
    low, high = decided
    slack = histogram.bin_width + EPSILON * max(abs(histogram.low), abs(histogram.high))
    if histogram.low - slack <= low <= high <= histogram.high + slack:
        return
    seen = f"{histogram.low:g} to {histogram.high:g} were seen"
    told = f"{observer.told} gives tensor {name!r} {low:g} to {high:g}, where {seen}"
    if observer.built_in:
        raise EdgecompressError(f"{told}; {OUR_FAULT}")
    raise RecipeError(f"{told}; repair it, or choose another")


def require_coverage(
    name: str,
    histogram: Histogram,
    decided: tuple[float, float],
    params: QuantParams,
    observer: str | None,
    scheme: Scheme,
) -> None:
    """Hold the integers of a tensor against what was decided, and that against what was counted.

    Args:
        name: of the tensor.
        histogram: what was counted.
        decided: the range that the observer chose, within the extent.
        params: what became of it.
        observer: its name, where it is one of the package.
        scheme: how many integers there are.

    Raises:
        EdgecompressError: the range clips what it should not, or the scale or the zero point is that of another range.
    """
    low, high = decided
    covered, step = _covered(params, scheme.quant_max), float(params.scale)
    ends = zip(covered, (min(low, 0.0), max(high, 0.0)), strict=True)
    counts_as_zero = params.scale == np.float32(EPSILON)
    if not counts_as_zero and any(abs(end - wanted) > step for end, wanted in ends):
        stands = "the integers of tensor {!r} stand for {:g} to {:g}".format(name, *covered)
        raise EdgecompressError(f"{stands}, where {low:g} to {high:g} was decided; {OUR_FAULT}")
    if observer in TRUE_TO_ERROR and histogram.high - histogram.low > FAINTEST * scheme.quant_max:
        whole = scheme.activation_params(histogram.low, histogram.high)
        loss, least = (_error(histogram, candidate, scheme.quant_max) for candidate in (params, whole))
        if loss > MOST_LOSS * least:
            clips = f"clips tensor {name!r} to {low:g} to {high:g}, which costs {loss / least:.0f} times the error"
            raise EdgecompressError(f"observer {observer!r} {clips} of no clipping; {OUR_FAULT}")


def _covered(params: QuantParams, quant_max: int) -> tuple[float, float]:
    zero, scale = float(params.zero_point), float(params.scale)
    return (0 - zero) * scale, (quant_max - zero) * scale


def _error(histogram: Histogram, params: QuantParams, quant_max: int) -> float:
    zero = np.asarray(params.zero_point, np.float64).reshape(1, 1)
    scale: Any = np.asarray(params.scale, np.float64).reshape(1, 1)
    return float(error_of(histogram, Levels(scale=scale, first_code=-zero, last_code=quant_max - zero))[0])
