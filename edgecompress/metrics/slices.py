"""Slices of outputs: what each output, channel, class and place carries, and which of them were lost.

The sum over an output hides a small part of it: the scores of a detector weigh nothing next to its boxes. So every
output is also read slice by slice: each index of axis 1, and each index of the last axis. The sums are kept for each
slice, and those of batches add up.

NumPy is imported where it is used: the text of this file is a part of the bundle's self-test, which tells in JSON of
a device without NumPy.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

IDENTICAL_DB = 200.0
"""Reported for outputs without any difference; float32 itself resolves about 150 dB."""
LOST_DB = 1.0
"""Agreement below which an output answers no better than one that is always zero, whose agreement is 0 dB."""
WHOLE = ""
"""The output as one slice; the other keys of a table are patterns such as ``[:, {}]``."""
MAX_SLICES = 2**14
"""An axis that is longer is not cut into slices."""
LEAST_VALUES = 4
"""A slice of fewer values, or of fewer that differ from the reference's, can vanish merely by rounding."""
MANY_VALUES = 32
"""So many values do not fall into one step by chance where slices that are no stronger do not."""
WEAK = 1e-2
"""A slice carries signal where its power is at least this share of that of nine tenths of its fellows: weaker ones are
as good as empty (a channel that hardly ever fires)."""
NUMERIC = 1e-12
"""And at least this share of the strongest slice: what is weaker than -120 dB is float32's own rounding."""
STILL = 1e-2
"""A slice is silent where it keeps at most this share of its power, or of its variance."""
OWN = 1e-3
"""A variance that is a smaller share of the slice's power (3 % of its size) may fall between two steps of 8 bits."""
NEAR = 16.0
"""Slices that are at most so many times as strong are compared with a lost one; its power has to be as many times their
error before rounding cannot explain the loss."""

COUNT, DIFFERENT, REFERENCE, ACTUAL, SIGNAL, POWER, NOISE = range(7)
"""Rows of a table's sums: values, those that differ, the values, the actual ones, and the squares of both and of the
difference."""


def tabulate(reference: Any, actual: Any) -> dict[str, NDArray[Any]]:
    """The sums over each slice of an output; both arrays have one shape.

    Returns:
        Float64 arrays of shape (7, slices) by the pattern that names their slices. Outputs that are no floats (indices,
        counts) have no slices but the whole.
    """
    import numpy as np

    first, second = comparable(reference, actual)
    rank = first.ndim if reference.dtype.kind == "f" else 0
    patterns = {rank - 1: "[..., {}]", 1: "[:, {}]"} if rank > 1 else {}
    cut = [axis for axis in sorted(patterns) if 1 < first.shape[axis] <= MAX_SLICES]
    others = tuple(axis for axis in range(first.ndim) if axis not in cut)
    with np.errstate(invalid="ignore", over="ignore"):
        rows = [np.asarray(term.sum(axis=others, dtype=np.float64)) for term in _terms(first, second)]
        values = math.prod(first.shape[axis] for axis in others)
        sums = np.stack([np.full(rows[0].shape, float(values)), *rows])
        table = {WHOLE: sums.reshape(len(sums), -1).sum(axis=1, keepdims=True)}
        for place, axis in enumerate(cut):
            others = tuple(1 + other for other in range(len(cut)) if other != place)
            table[patterns[axis]] = sums.sum(axis=others)
    return table


def _terms(first: NDArray[Any], second: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """What is added up, one after the other in the same memory: outputs may be large."""
    import numpy as np

    yield from (first != second, first, second)
    room = np.empty(first.shape)
    for values in (first, second):
        yield np.square(values, out=room)
    yield np.square(np.subtract(first, second, out=room), out=room)


def comparable(reference: Any, actual: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both in float64; what is infinite, or NaN, in both alike counts as 0 (a mask of scores, say)."""
    import numpy as np

    first, second = np.asarray(reference, np.float64), np.asarray(actual, np.float64)
    alike = ~np.isfinite(first) & ((first == second) | (np.isnan(first) & np.isnan(second)))
    return (np.where(alike, 0.0, first), np.where(alike, 0.0, second)) if alike.any() else (first, second)


def add_tables(first: Mapping[str, NDArray[Any]], second: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Both batches together; an axis whose length is not the same in both is cut no more."""
    kept = [key for key in first if key in second and first[key].shape == second[key].shape]
    return {key: first[key] + second[key] for key in kept}


def decibel(signal: float, noise: float) -> float:
    """Signal to noise in dB, from sums of squares; within plus and minus 200."""
    if noise == 0:
        return IDENTICAL_DB
    if signal == 0 or not math.isfinite(noise):  # NaN compares as no worse than any limit
        return -IDENTICAL_DB
    return max(-IDENTICAL_DB, min(10 * math.log10(signal / noise), IDENTICAL_DB))


def output_db(table: Mapping[str, NDArray[Any]]) -> float:
    """The agreement of an output as a whole, in dB."""
    return decibel(float(table[WHOLE][SIGNAL, 0]), float(table[WHOLE][NOISE, 0]))


def worst_slice(name: str, table: Mapping[str, NDArray[Any]]) -> tuple[float, str] | None:
    """The agreement in dB, and the name, of the slice that agrees least of those that carry signal; or None."""
    found = []
    for pattern, sums in table.items():
        power = sums[SIGNAL] / sums[COUNT].clip(min=1)
        judged = (power >= _least(power)) & (sums[COUNT] >= LEAST_VALUES)
        if pattern:
            figures = {i: decibel(float(sums[SIGNAL, i]), float(sums[NOISE, i])) for i in judged.nonzero()[0].tolist()}
            found += [(figure, name + pattern.format(index)) for index, figure in figures.items()]
    return min(found, key=lambda pair: pair[0], default=None)


def lost_slices(name: str, table: Mapping[str, NDArray[Any]], *, silent: bool = False) -> list[str]:
    """The names of the slices that were lost: those that carry signal in the reference, and here none, or noise.

    Args:
        name: of the output; where it is lost as a whole, its slices are not named.
        table: of that output.
        silent: only slices that became zero or a constant, not those that are wrong otherwise; for networks that were
            trained to answer otherwise.
    """
    if _lost(table[WHOLE], silent)[0]:
        return [name]
    found = {pattern: _lost(sums, silent).nonzero()[0].tolist() for pattern, sums in table.items()}
    lost = [name + pattern.format(index) for pattern, indices in found.items() for index in indices]
    return lost or [name] * (not silent and output_db(table) < LOST_DB)


def _lost(sums: NDArray[Any], only_silent: bool) -> NDArray[Any]:
    """Which slices were lost, in what they amount to or in what varies in them: bool of shape (slices,)."""
    import numpy as np

    with np.errstate(invalid="ignore", over="ignore"):
        count = sums[COUNT].clip(min=1)
        squares = sums[[SIGNAL, POWER, NOISE]] / count
        mean, moved = sums[[REFERENCE, ACTUAL]] / count
        centred = squares - np.square([mean, moved, mean - moved])
        centred[centred < NUMERIC * squares] = 0.0  # the mean's own rounding
    judged = (sums[COUNT] >= LEAST_VALUES) & (sums[DIFFERENT] >= LEAST_VALUES)
    many = (sums[DIFFERENT] >= MANY_VALUES) | (len(count) == 1)
    amount = _missing(squares, many, many, only_silent)
    variance = _missing(centred, many, many & (centred[0] >= OWN * squares[0]), only_silent)
    broken = np.isfinite(squares[0]) & ~np.isfinite(squares[2])
    return np.asarray(broken | (judged & (amount | variance)))


def _missing(levels: NDArray[Any], many: NDArray[Any], clear: NDArray[Any], only_silent: bool) -> NDArray[Any]:
    """Which slices lost their level, and not to rounding, which takes the weakest slices first.

    Rounding does not explain a loss where slices no stronger than :data:`NEAR` times are far more exact, or where most
    of the weaker ones live on. Where nothing comparable lives, a silent slice is lost if it is clear. A slice that is
    wrong without being silent is singled out only where most of the comparable ones live: where most are as wrong, the
    output is noisy as a whole, and the few that happen to be exact say nothing of the others.

    Args:
        levels: for each slice what it carries, what is kept of it and its error; shape (3, slices).
        many: which slices have values enough to be compared with the weaker ones.
        clear: which are more than a step of 8 bits.
        only_silent: leave out slices that are wrong without being silent.
    """
    import numpy as np

    level, kept, error = levels
    counted = np.isfinite(level) & np.isfinite(error) & (level > 0)
    silent = counted & (kept <= STILL * level)
    wrong = counted & (error >= 10 ** (-LOST_DB / 10) * level)
    live = counted & ~wrong & ~silent
    order = np.argsort(level[live], kind="stable")
    alive, errors = level[live][order], error[live][order]
    noisy = np.sort(level[wrong & ~silent])
    lost = np.zeros(level.shape, bool)
    for place in np.flatnonzero((silent if only_silent else silent | wrong) & (level >= _least(level))).tolist():
        near = errors[: np.searchsorted(alive, NEAR * level[place], "right")]
        as_noisy = int(np.searchsorted(noisy, NEAR * level[place], "right")) - 1
        weaker = int((counted & (level <= level[place])).sum()) - 1
        living = int(np.searchsorted(alive, level[place], "right"))
        singular = silent[place] or near.size > as_noisy
        if near.size and singular and level[place] >= NEAR * np.quantile(near, 0.9):
            lost[place] = True
        elif silent[place]:
            singled_out = many[place] and weaker >= 3 and 2 * living > weaker
            lost[place] = singled_out or (clear[place] and not near.size)
    return lost


def _least(level: NDArray[Any]) -> float:
    """The power from which on a slice carries signal."""
    import numpy as np

    ranked = np.sort(level[np.isfinite(level) & (level > 0)])
    return float(max(WEAK * ranked[(len(ranked) - 1) // 10], NUMERIC * ranked[-1])) if len(ranked) else math.inf
