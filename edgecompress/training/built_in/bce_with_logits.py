"""Binary cross entropy of the sigmoid of scores, PyTorch's ``BCEWithLogitsLoss``: each class is there or is not."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from edgecompress.errors import DataError
from edgecompress.training.readings import NUMBERS, reads


@reads(NUMBERS)
def loss(scores: Tensor, wanted: Tensor) -> Tensor:
    """The mean over all scores that count; ``wanted`` are probabilities, 0 to 1.

    Raises:
        DataError: they are not.
    """
    outside = wanted[(wanted < 0) | (wanted > 1)]
    if outside.numel():
        raise DataError(
            f"label {float(outside[0]):g} is no probability; give 0 to 1, and -100 (integers) for what does not count"
        )
    return functional.binary_cross_entropy_with_logits(scores, wanted)
