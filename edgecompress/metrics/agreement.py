"""Agreement: how closely the outputs of one network follow those of another, as wholes and slice by slice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgecompress.arrays import Array
from edgecompress.errors import ModelError
from edgecompress.metrics.slices import (
    IDENTICAL_DB,
    NOISE,
    SIGNAL,
    WHOLE,
    add_tables,
    comparable,
    lost_slices,
    output_db,
    tabulate,
    worst_slice,
)

ALIKE_DB = 25.0
"""Agreement at which a sample's outputs count as the same where no class says whether they are."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """How closely outputs follow a reference, added up over batches.

    ``tables`` hold the sums over the slices of each output (:mod:`edgecompress.metrics.slices`), ``names`` what it is
    called.
    ``agreed`` of ``decided`` top classes of the first output are the same, where that holds the scores of classes.
    ``alike`` of ``counted`` samples of the outputs agree to :data:`ALIKE_DB`.
    """

    names: tuple[str, ...] = ()
    tables: tuple[Mapping[str, Array], ...] = ()
    max_abs_error: float = 0.0
    agreed: int = 0
    decided: int = 0
    alike: int = 0
    counted: int = 0

    @classmethod
    def between(
        cls,
        reference: Sequence[Array],
        actual: Sequence[Array],
        *,
        names: Sequence[str] = (),
        class_axis: int | None = None,
    ) -> Self:
        """The agreement of two lists of outputs, of the same shapes.

        Args:
            reference: what the outputs should be.
            actual: what they are.
            names: of the outputs; ``output_0`` and so on where there are none.
            class_axis: the axis of the first output that holds the classes, where labels or the recipe show that it
                holds scores of classes; without it nothing is said of classes.

        Raises:
            ModelError: an output has another shape in each: how large it is depends on values.
        """
        pairs = list(zip(reference, actual, strict=True))
        called = tuple(names) or tuple(f"output_{index}" for index in range(len(pairs)))
        for name, (r, a) in zip(called, pairs, strict=True):
            _require_one_shape(name, r, a)
        gaps = [_gaps(r, a) for r, a in pairs]
        same = np.zeros(0, bool)
        if class_axis is not None:
            same = np.atleast_1d(reference[0].argmax(axis=class_axis) == actual[0].argmax(axis=class_axis))
        return cls(
            names=called,
            tables=tuple(tabulate(r, a) for r, a in pairs),
            max_abs_error=max((error for error, _ in gaps), default=0.0),
            agreed=int(same.sum()),
            decided=same.size,
            alike=sum(int(rows.sum()) for _, rows in gaps),
            counted=sum(rows.size for _, rows in gaps),
        )

    def merge(self, other: Agreement) -> Agreement:
        """Both batches together."""
        if not self.tables:
            return other
        return Agreement(
            names=self.names,
            tables=tuple(add_tables(mine, its) for mine, its in zip(self.tables, other.tables, strict=True)),
            max_abs_error=max(self.max_abs_error, other.max_abs_error),
            agreed=self.agreed + other.agreed,
            decided=self.decided + other.decided,
            alike=self.alike + other.alike,
            counted=self.counted + other.counted,
        )

    @property
    def sqnr_db(self) -> float:
        """Signal to quantization noise ratio of the worst output, each as a whole, in dB."""
        return min(map(output_db, self.tables), default=IDENTICAL_DB)

    @property
    def noise_share(self) -> float:
        """Noise over signal of the worst output, sums of squares."""
        sums = (table[WHOLE][:, 0] for table in self.tables)
        return max(float(slice_sums[NOISE] / max(slice_sums[SIGNAL], 1e-30)) for slice_sums in sums)

    @property
    def worst_slice(self) -> tuple[float, str] | None:
        """The agreement in dB and the name of the slice that agrees least, of those that carry signal."""
        found = (worst_slice(name, table) for name, table in zip(self.names, self.tables, strict=True))
        return min(filter(None, found), default=None)

    def lost(self, *, silent: bool = False) -> tuple[str, ...]:
        """The names of the outputs, and of the slices of outputs, that were lost; see :func:`lost_slices`."""
        pairs = zip(self.names, self.tables, strict=True)
        return tuple(lost for name, table in pairs for lost in lost_slices(name, table, silent=silent))

    @property
    def entry(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        worst = self.worst_slice
        return {
            "sqnr_db": self.sqnr_db,
            "max_abs_error": self.max_abs_error,
            "top1_agreement": self.top1_agreement,
            "alike": self.alike_share,
            "worst_slice": None if worst is None else {"name": worst[1], "sqnr_db": worst[0]},
        }

    @property
    def finite(self) -> bool:
        """Whether every output is a number wherever the reference is."""
        sums = (table[WHOLE][[SIGNAL, NOISE]] for table in self.tables)
        return all(bool(np.isfinite(found).all()) for found in sums) and math.isfinite(self.max_abs_error)

    @property
    def top1_agreement(self) -> float | None:
        """Share of samples, 0 to 1, whose top class is the same; None where no output is known to hold classes."""
        return self.agreed / self.decided if self.decided else None

    @property
    def alike_share(self) -> float | None:
        """Share of the samples of all outputs, 0 to 1, that agree to :data:`ALIKE_DB`; None without samples."""
        return self.alike / self.counted if self.counted else None


def share_of(entry: Mapping[str, Any]) -> float | None:
    """The share of samples, 0 to 1, that agree, by the entry of an :class:`Agreement` and what it says was lost.

    It is the share with the same top class; where no output is known to hold classes, that of samples that agree to
    :data:`ALIKE_DB`; none where a slice of an output was lost. Bundles of before know only top classes.

    >>> share_of({"top1_agreement": None, "alike": 0.75}), share_of({"top1_agreement": 1.0, "lost": ["scores[:, 4]"]})
    (0.75, 0.0)
    """
    if entry.get("lost"):
        return 0.0
    share: float | None = entry.get("top1_agreement")
    return entry.get("alike") if share is None else share


def listed(names: Sequence[str]) -> str:
    """Names of lost slices in a few words.

    >>> listed(["scores[:, 4]"]), listed(["scores[:, 4]", "scores[:, 5]", "scores[:, 6]"])
    ("'scores[:, 4]'", "'scores[:, 4]' and 2 more")
    """
    return repr(names[0]) + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _require_one_shape(name: str, reference: Array, actual: Array) -> None:
    if reference.shape != actual.shape:
        raise ModelError(
            f"output {name!r} has shape {reference.shape} of one model and {actual.shape} of the other, so that its"
            " size depends on values; leave what selects them, such as NonMaxSuppression or NonZero, out of the model"
        )


def _gaps(reference: Array, actual: Array) -> tuple[float, NDArray[np.bool_]]:
    """The largest difference of two outputs, and which of their rows are alike."""
    first, second = comparable(reference, actual)
    gap = np.asarray(first - second)
    return float(np.abs(gap).max(initial=0.0)), _alike_rows(first, gap)


def _alike_rows(reference: Array, gap: Array) -> NDArray[np.bool_]:
    """Which rows agree to :data:`ALIKE_DB`; of one that is nearly empty, the error is held against the mean row."""
    if not reference.ndim or not reference.size:
        return np.zeros(0, bool)
    with np.errstate(invalid="ignore", over="ignore"):
        signal, noise = (np.square(part).reshape(len(part), -1).sum(axis=1) for part in (reference, gap))
        found: NDArray[np.bool_] = noise * 10 ** (ALIKE_DB / 10) <= np.maximum(signal, signal.mean())
    return found
