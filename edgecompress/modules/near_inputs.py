"""What would have to be changed about inputs that a network does not run on: the usual mistakes, tried one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from edgecompress.arrays import Array, Inputs
from edgecompress.errors import USER_CODE_FAILS
from edgecompress.runtime import Network, execute
from edgecompress.system.quiet import quiet_torch

PREPARED = "scale and normalize them as in training, such as (x.float() / 255 - mean) / std"
Change = Callable[[Array], Array]
IMAGE_RANK = 4
CHANGES: tuple[tuple[str, Change], ...] = (
    (f"they are pictures as bytes: {PREPARED}", lambda array: _scaled(array)),
    (
        f"they are pictures as bytes with the channels last: take x.permute(0, 3, 1, 2), and {PREPARED}",
        lambda array: _scaled(array, (0, 3, 1, 2)),
    ),
    ("give float32, as the model has it: x.float()", lambda array: array.astype(np.float32)),
    ("the model is in half precision: give it in float32, with model.float()", lambda array: array.astype(np.float16)),
    ("give whole numbers (int64): x.long()", lambda array: array.astype(np.int64)),
    ("the channels are last in them: give x.permute(0, 3, 1, 2)", lambda array: _moved(array, (0, 3, 1, 2))),
    (
        "the channels are last in them, and they are no float32: give x.permute(0, 3, 1, 2).float()",
        lambda array: _moved(array, (0, 3, 1, 2)).astype(np.float32),
    ),
    ("the channels are first in them: give x.permute(0, 2, 3, 1)", lambda array: _moved(array, (0, 2, 3, 1))),
    ("it is a single sample: give batches, with the samples along the first dimension", lambda array: array[None]),
    (
        "they have no channels: give x[:, None], with the channels along the second dimension",
        lambda array: array[:, None] if array.ndim else array,
    ),
)
"""What helps, and what it makes of an array; the first that the network runs on is told."""


SWAPPED = "inputs and labels are swapped: give (inputs, labels)"


def near_inputs(network: Network, inputs: Inputs, labels: object = None) -> str | None:
    """What would make a network run on inputs that it does not run on; None where none of the usual changes does.

    Args:
        network: not modified.
        inputs: arrays by name.
        labels: what came with them, in any form.
    """
    if len(inputs) == 1 and hasattr(labels, "__array__"):
        (name,) = inputs
        if _runs(network, {name: np.asarray(labels)}):
            return SWAPPED
    return next(_helping(network, inputs), None)


def _helping(network: Network, inputs: Inputs) -> Iterator[str]:
    for told, change in CHANGES:
        changed = {name: change(array) for name, array in inputs.items()}
        differs = any(a.dtype != inputs[n].dtype or a.shape != inputs[n].shape for n, a in changed.items())
        if differs and _runs(network, changed):
            yield told


def _runs(network: Network, inputs: Inputs) -> bool:
    try:
        with quiet_torch():
            execute(network, inputs)
    except USER_CODE_FAILS:
        return False
    return True


def _scaled(array: Array, order: tuple[int, ...] = (0, 1, 2, 3)) -> Array:
    """Pictures of bytes as floats, their dimensions in another order."""
    return _moved(array, order).astype(np.float32) if array.dtype == np.uint8 and array.ndim == IMAGE_RANK else array


def _moved(array: Array, order: tuple[int, ...]) -> Array:
    return np.ascontiguousarray(array.transpose(order)) if array.ndim == IMAGE_RANK else array
