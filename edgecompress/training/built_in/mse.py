"""The mean squared error, PyTorch's ``MSELoss``."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from edgecompress.training.readings import NUMBERS, reads


@reads(NUMBERS)
def loss(values: Tensor, wanted: Tensor) -> Tensor:
    """The mean over all numbers that count, both of one shape."""
    return functional.mse_loss(values, wanted)
