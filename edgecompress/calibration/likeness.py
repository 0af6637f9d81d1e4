"""Likeness: whether the inputs that ranges were taken of are prepared as those that the artifact is judged on.

Integers reach no further than calibration did. Pictures in 0 to 255 there and in 0 to 1 elsewhere, or with another
mean, leave the artifact a few of its 256 steps, or cut off what lies outside. Both data are compared sample by sample,
so that neither the unit of the input nor a few odd samples decide: almost every sample of the data has to lie on one
side of almost every one of the other, in its mean, its deviation or one of its ends. Inputs of only 0 and 1, such as
attention masks, have the same range however many of each there are: they are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.stats import mannwhitneyu

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch

AT_FIRST = 512
"""Samples of each that are read before a run: where data are sorted by class, more than those of one."""
APART = 0.95
"""How often a sample of the data lies above one of the other, or below. Samples of one source are near a half."""
BY_CHANCE = 1e-5
"""Probability that samples of one source lie as far apart."""
WIDER = 2**0.5
"""Ratio of the deviations. The least of common mistakes, 0 to 1 in place of -1 to 1, doubles it: half way to that."""
MOVED = 0.5
"""Distance of the means in deviations of the wider data; the same mistake moves the mean by about 1."""
ROUNDING = 1e-9
"""Of a variance of values up to 1. One value of 0.5 among n of 0 and 1 changes it by about 1 / (4 n)."""
MEAN, DEVIATION, LOWEST, HIGHEST = range(4)


Levels = Mapping[str, Array]
"""Of inputs, by their names, a row for each sample: mean, deviation, lowest and highest value."""


def levels_of(batches: Iterable[Batch], samples: float = math.inf) -> Levels:
    """The levels of every input of floats, (samples, 4) each; no batch is read after so many samples."""
    found: dict[str, list[Array]] = {}
    seen = 0
    for batch in batches:
        for name, rows in batch_levels(batch).items():
            found.setdefault(name, []).append(rows)
        seen += batch.rows
        if seen >= samples:
            break
    return joined(found)


def joined(found: Mapping[str, Sequence[Array]]) -> Levels:
    """The levels of several batches as those of all their samples."""
    return {name: np.concatenate(rows) for name, rows in found.items()}


def batch_levels(batch: Batch) -> Levels:
    """Float64 (samples, 4) of each input of floats that has samples: mean, deviation, lowest, highest."""
    found = {}
    for name, array in batch.inputs.items():
        axis = batch.axis(name)
        if axis is not None and array.dtype.kind == "f" and array.size:
            rows = np.moveaxis(array, axis, 0).reshape(batch.rows, -1)
            with np.errstate(over="ignore", invalid="ignore"):
                moments = rows.mean(1, np.float64), rows.std(1, np.float64)
            found[name] = np.stack([*moments, rows.min(1), rows.max(1)], 1)
    return found


def doubts_of_likeness(calibration: Levels, evaluation: Levels) -> tuple[str, ...]:
    """A sentence on each input that calibration had in other units or ranges than evaluation.

    >>> x = np.random.default_rng(0).random((64, 1, 8, 8))
    >>> def levels(x): return batch_levels(Batch(inputs={"x": x}))
    >>> doubts_of_likeness(levels(255 * x), levels(x))[0].partition(";")[2]
    ' prepare both alike, or calibrate on data like those that the artifact will see'
    >>> doubts_of_likeness(levels(x[:32]), levels(x[32:]))
    ()
    """
    names = [name for name in calibration if name in evaluation]
    return tuple(
        f"calibration input {name!r} has values of {_in_words(ours)}, evaluation of {_in_words(theirs)}; prepare both"
        " alike, or calibrate on data like those that the artifact will see"
        for name in names
        if are_unlike(ours := calibration[name], theirs := evaluation[name])
    )


def are_unlike(first: Array, second: Array) -> bool:
    """Whether two tables of levels are of inputs that were prepared in different ways."""
    if _are_flags(first) and _are_flags(second):
        return False
    (low, narrow), (high, wide) = sorted((_pooled(first), _pooled(second)), key=lambda each: each[1])
    if not 0.0 < wide < math.inf or not (wide > WIDER * narrow or abs(high - low) > MOVED * wide):
        return False
    return any(_are_apart(first[:, place], second[:, place]) for place in (MEAN, DEVIATION, LOWEST, HIGHEST))


def _are_flags(levels: Array) -> bool:
    """Whether all values are 0 or 1: within 0 to 1 no others have a variance of mean * (1 - mean)."""
    mean, deviation = levels[:, MEAN], levels[:, DEVIATION]
    if levels[:, LOWEST].min() < 0 or levels[:, HIGHEST].max() > 1:
        return False
    return bool((abs(mean * (1 - mean) - deviation**2) <= ROUNDING).all())


def _pooled(levels: Array) -> tuple[float, float]:
    """Mean and deviation of all values, each sample of the same weight."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = levels[:, MEAN].mean()
        return float(mean), float(np.sqrt((levels[:, DEVIATION] ** 2 + (levels[:, MEAN] - mean) ** 2).mean()))


def _are_apart(first: Array, second: Array) -> bool:
    found = mannwhitneyu(first, second)
    above = found.statistic / (len(first) * len(second))
    return bool(max(above, 1 - above) >= APART and found.pvalue <= BY_CHANCE)


def _in_words(levels: Array) -> str:
    mean, deviation = _pooled(levels)
    seen = mean if abs(mean) > deviation / 100 else 0.0
    return f"{_figure(levels[:, LOWEST].min(), 3)} to {_figure(levels[:, HIGHEST].max(), 3)}, mean {_figure(seen, 2)}"


def _figure(value: float, digits: int) -> str:
    """A number with so many digits that say something, and without an exponent if it is large.

    >>> _figure(117.2, 2), _figure(99.6, 2), _figure(-0.01234, 2), _figure(4850.3, 3)
    ('117', '100', '-0.012', '4850')
    """
    return f"{value:.0f}" if abs(value) >= 10**digits - 0.5 else f"{value:.{digits}g}"
