"""The axis of the classes in scores, settled once for all batches of a run.

Batch by batch, one whose labels fit two axes, having as many places as there are classes, would be read another way
than its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch, Batches
from edgecompress.data.splits import Streams
from edgecompress.errors import USER_CODE_FAILS
from edgecompress.metrics.accuracy import class_axis, open_class_axes
from edgecompress.metrics.targets import is_numbers
from edgecompress.progress import Progress
from edgecompress.runtime import Network, execute

ScoresShape = Callable[[Batch], Sequence[int]]
"""The shape of the scores that a network gives for a batch."""


def settle_streams(network: Network, streams: Streams, asked: int | None, progress: Progress) -> Streams:
    """The data of a run, with the axis of the scores that their labels lack; see :func:`settle_class_axis`."""
    axis = settle_class_axis(
        lambda batch: execute(network, batch.inputs)[0].shape,
        streams.with_classes,
        asked,
        progress.warn,
    )
    return streams.with_class_axis(axis)


def settle_class_axis(
    scores_shape: ScoresShape, data: Iterable[Batches | None], asked: int | None, tell: Callable[[str], None]
) -> int | None:
    """Axis of the classes in every batch of a run: axis 1, or the last one (-1).

    The first batch whose labels fit one axis only decides; of batches of the same shapes the first one is run. Where
    all leave both axes open it is axis 1, as in PyTorch.

    Args:
        scores_shape: runs the network.
        data: read up to the batch that decides; the first with labels counts most.
        asked: what the user said, which stands.
        tell: called with a warning where both axes are open.

    Returns:
        The axis; None where there are no labels, or they fit no axis, or the network fails: whoever reads the labels
        then says so.
    """
    if asked is not None:
        return asked
    undecided = None
    for shape, axes in _readings(scores_shape, filter(None, data)):
        if len(axes) < 2:
            return axes[0] if axes else None
        undecided = undecided or shape
    if undecided is None:
        return None
    tell(both_open(undecided))
    return 1


def shown_axis(batch: Batch, scores: Array, where: str) -> int | None:
    """The axis along which the first output holds the scores of classes, if the labels or the recipe show that it does.

    Raises:
        DataError: the labels do not fit the scores.
    """
    if batch.labels is None:
        return batch.class_axis
    return class_axis(scores.shape, batch.labels.shape, where, batch.class_axis)


def both_open(shape: Sequence[int]) -> str:
    """The warning that scores of this shape do not tell where their classes lie."""
    return (
        f"scores of shape {tuple(shape)} have as many classes as places: the labels fit axis 1 and the last one; axis 1"
        " is taken for the classes, as in PyTorch; class_axis, in a recipe evaluation.class_axis, settles it (1 or -1)"
    )


def _readings(scores_shape: ScoresShape, data: Iterable[Batches]) -> Iterable[tuple[Sequence[int], tuple[int, ...]]]:
    """The shape of the scores, and the axes that its labels leave open, of every batch of new shapes."""
    seen = set()
    for batches in data:
        for batch in batches:
            labels = batch.labels
            if not is_numbers(labels) or labels.dtype.kind == "f":
                break
            shapes = (*(array.shape for array in batch.inputs.values()), labels.shape)
            if shapes in seen:
                continue
            seen.add(shapes)
            try:
                shape = scores_shape(batch)
            except USER_CODE_FAILS:
                return
            yield shape, open_class_axes(shape, labels.shape)
