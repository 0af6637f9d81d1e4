"""Sensitivity: what the outputs lose when only one group is narrowed, measured on data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from edgecompress.data.batches import Batch
from edgecompress.errors import EdgecompressError, ModelError
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.pruning.channels.cost_terms import full
from edgecompress.pruning.channels.greedy_widths import Damage
from edgecompress.pruning.channels.importance import Scores
from edgecompress.pruning.channels.structured import FIXED, Subject, cut_out
from edgecompress.pruning.channels.widths import choose, rounded
from edgecompress.pruning.structure.groups import Group
from edgecompress.runtime import execute
from edgecompress.training import reestimate_batch_norm

SHARES = (0.75, 0.5, 0.25, 0.125)
"""The widths that are tried, as shares of the group; between them damage is interpolated."""

Curves = Mapping[str, Sequence[Sequence[float]]]
"""Widths and the noise at each, by group."""
Recall = Callable[[tuple[Any, ...], Callable[[], Curves]], Curves]
"""Gives curves for what decides about them, on a network and data that it knows; the function measures them."""


def make_now(_parts: tuple[Any, ...], measure: Callable[[], Curves]) -> Curves:
    """Curves that are measured now."""
    return measure()


CHANGES_SIZE = (
    "the size of an output depends on values that pruning changes, so that its loss cannot be measured;"
    " return all rows, or choose a 'pruning.spread' other than sensitivity"
)


def measured_damage(
    subject: Subject,
    groups: Sequence[Group],
    scores: Scores,
    multiple: int,
    batches: Sequence[Batch],
    progress: Progress,
    recall: Recall = make_now,
) -> Damage:
    """The noise of the outputs relative to their signal, by group and width (Li et al. 2017, "Pruning filters").

    Args:
        subject: the network.
        groups: to measure, one at a time, the others whole.
        scores: which units of a group go first.
        multiple: the numbers of channels that stay are multiples of this.
        batches: a hundred samples or so; batch norms are estimated anew on them, labels are not read.
        progress: told of every group.
        recall: gives the curves that were measured before.
    """
    units = [(group.name, group.units, group.members) for group in groups]
    ordered = {name: scores[name] for name in sorted(scores)}
    parts = (units, ordered, multiple)
    curves = recall(parts, lambda: _curves(subject, groups, scores, multiple, batches, progress))

    def damage(group: Group, kept: int) -> float:
        widths, losses = curves[group.name]
        return float(np.interp(kept, widths, losses))

    return damage


def _curves(
    subject: Subject,
    groups: Sequence[Group],
    scores: Scores,
    multiple: int,
    batches: Sequence[Batch],
    progress: Progress,
) -> dict[str, tuple[list[int], list[float]]]:
    """Widths and the noise at each, by group."""
    expected = [execute(subject.module, batch.inputs) for batch in batches]
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for group in progress.track(groups, "measuring what is lost with channels", "group"):
        widths = sorted({rounded(group, len(group.units) * share, multiple) for share in SHARES} - {len(group.units)})
        losses = []
        for kept in widths:
            units = choose(groups, scores, {**full(groups), group.name: kept})
            losses.append(noise_without(subject, units, batches, expected))
        # More units never do more harm; where a measurement says so, it is noise.
        curves[group.name] = ([*widths, len(group.units)], [*np.maximum.accumulate(losses[::-1])[::-1].tolist(), 0.0])
    return curves


def noise_without(
    subject: Subject, units: Sequence[int], batches: Sequence[Batch], expected: Sequence[Sequence[np.ndarray]]
) -> float:
    """The noise in the outputs without these units, batch norms estimated anew.

    Raises:
        EdgecompressError: they cannot be removed.
    """
    pruned = cut_out(subject, units)
    if not pruned.removed:
        raise EdgecompressError(FIXED)
    return output_noise(reestimate_batch_norm(pruned.model, batches, Progress()), batches, expected)


def output_noise(module: nn.Module, batches: Iterable[Batch], expected: Sequence[Sequence[np.ndarray]]) -> float:
    """Difference of a network's outputs from the expected ones, as noise over signal; that of the worst output.

    Raises:
        ModelError: the outputs have other sizes, since these depend on the data.
    """
    agreement = Agreement()
    for batch, outputs in zip(batches, expected, strict=True):
        found = execute(module, batch.inputs)
        if [output.shape for output in found] != [output.shape for output in outputs]:
            raise ModelError(CHANGES_SIZE)
        agreement = agreement.merge(Agreement.between(outputs, found))
    return agreement.noise_share
