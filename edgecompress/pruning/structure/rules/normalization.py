"""Normalizations: per channel, or over channels with statistics of those that are left."""

from __future__ import annotations

from edgecompress.pruning.structure.channel_classes import Classes
from edgecompress.pruning.structure.channel_labels import Labelled, combine, labelled, merge, reshape, touch, varying
from edgecompress.pruning.structure.rules.call import Call, Rule
from edgecompress.pruning.structure.rules.elementwise import MEETS_CONSTANTS, along


def batch_norm(classes: Classes, call: Call) -> Labelled:
    """Batch and instance normalization: every channel, axis 1, has its own statistics."""
    vectors = [along(vector, 1, len(call.shape)) for vector in call.tensors[1:]]
    return combine(classes, [call["input"], *vectors], call.shape, MEETS_CONSTANTS)


def layer_norm(classes: Classes, call: Call) -> Labelled:
    """Layer and RMS normalization over the last axes: what is left is normalized by its own statistics."""
    rank = len(call.shape)
    axes = set(range(rank - len(call["normalized_shape"]), rank))
    source = normalized(classes, call["input"], axes)
    return combine(classes, [source, *call.tensors[1:]], call.shape, MEETS_CONSTANTS)


def group_norm(classes: Classes, call: Call) -> Labelled:
    """Group normalization: every group keeps the same places, so that the groups stay equal and as many."""
    source, groups = call["input"], call["num_groups"]
    rows, channels, *spatial = source.shape
    split = reshape(source, (rows, groups, channels // groups, *spatial))
    if channels > groups > 1:
        split = Labelled(split.shape, tuple(merge(classes, slot, varying(slot) & {1}) for slot in split.slots))
    whole = normalized(classes, split, set(range(2, len(split.shape))))
    flat = reshape(whole, source.shape)
    vectors = [along(vector, 1, len(source.shape)) for vector in call.tensors[1:]]
    return combine(classes, [flat, *vectors], call.shape, MEETS_CONSTANTS)


def normalized(classes: Classes, source: Labelled, axes: set[int]) -> Labelled:
    """Channels that lie only along the normalized axes may go; of others, what is normalized together goes together."""
    slots = [
        slot if varying(slot) <= axes else touch(classes, slot, axes, "is normalized together") for slot in source.slots
    ]
    return labelled(classes, source.shape, slots)


RULES: dict[str, Rule] = {
    "batch_norm": batch_norm,
    "instance_norm": batch_norm,
    "layer_norm": layer_norm,
    "rms_norm": layer_norm,
    "group_norm": group_norm,
}
