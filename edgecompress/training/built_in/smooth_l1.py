"""Half the squared error below a difference of 1, the absolute error less a half above, PyTorch's ``SmoothL1Loss``."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from edgecompress.training.readings import NUMBERS, reads


@reads(NUMBERS)
def loss(values: Tensor, wanted: Tensor) -> Tensor:
    """The mean over all numbers that count, both of one shape."""
    return functional.smooth_l1_loss(values, wanted)
