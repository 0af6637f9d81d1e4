"""Connectionist temporal classification (Graves et al., 2006), PyTorch's ``CTCLoss``, with the blank 0."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from edgecompress.training.readings import SEQUENCES, reads


@reads(SEQUENCES)
def loss(scores: Tensor, sequences: list[Tensor]) -> Tensor:
    """The mean over the samples, each by its length; one that no path of so many steps writes counts as 0.

    Args:
        scores: (rows, steps, classes), before the softmax.
        sequences: the classes of each row, above 0.
    """
    rows, steps, _ = scores.shape
    return functional.ctc_loss(
        scores.log_softmax(-1).transpose(0, 1),
        torch.cat(sequences),
        torch.full((rows,), steps, dtype=torch.long),
        torch.tensor([len(row) for row in sequences]),
        zero_infinity=True,
    )
