"""Operators that gather elements along axes: sums, means, softmax, pooling, resizing."""

from __future__ import annotations

import re

from edgecompress.pruning.structure.channel_classes import Classes
from edgecompress.pruning.structure.channel_labels import Labelled, add_up, drop_axes, labelled, reshape, touch_all
from edgecompress.pruning.structure.rules.call import Call, Result, Rule
from edgecompress.pruning.structure.rules.handwritten_norms import is_normalizing
from edgecompress.pruning.structure.rules.normalization import normalized


def total(classes: Classes, call: Call) -> Labelled:
    """A sum: channels that were removed before it are missed by no term."""
    operand = call["self"]
    reduced = add_up(classes, operand, call.axes("dim", len(operand.shape)))
    return labelled(classes, call.shape, reshape(reduced, call.shape).slots)


def length(classes: Classes, call: Call) -> Result:
    """A norm, which misses removed channels as little as a sum does, unless it looks for the least."""
    return total(classes, call) if call["ord"] >= 0 else gather(classes, call)


def gather(classes: Classes, call: Call) -> Result:
    """A mean, an extreme, a norm: what it gathers over cannot lose a member."""
    operand = call["self"]
    axes = call.axes("dim", len(operand.shape))
    if is_normalizing(call.node):
        whole = normalized(classes, operand, axes)
    else:
        whole = touch_all(classes, operand, axes, f"is gathered by {call.name}")
    reduced = drop_axes(classes, whole, axes)
    results = [labelled(classes, shape, reshape(reduced, shape).slots) for shape in call.shapes]
    return results if isinstance(call.node.meta["val"], (list, tuple)) else results[0]


def mix(classes: Classes, call: Call) -> Labelled:
    """A softmax or a running sum: the shape stays, the elements along the axis depend on one another."""
    operand = call["self"]
    return touch_all(classes, operand, call.axes("dim", len(operand.shape)), f"is mixed by {call.name}")


def resample(classes: Classes, call: Call) -> Result:
    """Pooling and resizing: the last axes change their length, channels stay apart."""
    operand = call.tensors[0]
    spatial = set(range(len(operand.shape) - _rank(call), len(operand.shape)))
    whole = touch_all(classes, operand, spatial, f"is mixed by {call.name}")
    first = drop_axes(classes, whole, spatial)
    slots = [slot.reshape(*slot.shape, *[1] * len(spatial)) for slot in first.slots]
    results = [labelled(classes, shape, (slot.expand(*shape) for slot in slots)) for shape in call.shapes]
    return results if isinstance(call.node.meta["val"], (list, tuple)) else results[0]


def _rank(call: Call) -> int:
    found = re.search(r"(\d)d", call.name)
    assert found is not None
    return int(found[1])


GATHERING = (
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "logsumexp",
    "max",
    "mean",
    "median",
    "min",
    "norm",
    "prod",
    "std",
    "std_mean",
    "var",
    "var_mean",
)
_RESAMPLING = ("adaptive_avg_pool", "adaptive_max_pool", "avg_pool", "lp_pool", "max_pool", "upsample_nearest")
_RESIZING = ("upsample_bilinear2d", "upsample_bicubic2d", "upsample_linear1d", "upsample_trilinear3d")

RULES: dict[str, Rule] = {
    "sum": total,
    "linalg_vector_norm": length,
    **dict.fromkeys(GATHERING, gather),
    **dict.fromkeys(("cumsum", "log_softmax", "softmax", "_log_softmax", "_softmax"), mix),
    **{f"{name}{rank}d": resample for name in _RESAMPLING for rank in (1, 2, 3)},
    **{f"max_pool{rank}d_with_indices": resample for rank in (1, 2, 3)},
    **dict.fromkeys(_RESIZING, resample),
}
