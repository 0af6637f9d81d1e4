"""Variations of training samples, on tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from edgecompress.errors import DataError


def flip(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Images mirrored left to right every other time: the mildest variation, for a training of a few epochs.

    Args:
        inputs: tensors by name; those of shape (rows, channels, height, width) are images.

    Returns:
        The same names, shapes and dtypes. The images of a row are mirrored together, as an image and its mask should.

    Raises:
        DataError: no input is an image.
    """
    images = _images(inputs)
    mirrored = _random(images, 1)[0] < 0.5
    return {**inputs, **{name: _mirrored(value, mirrored) for name, value in images.items()}}


def crop_and_flip(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Images shifted by up to an eighth of their side, zeros beyond the edge, and mirrored every other time.

    Args:
        inputs: tensors by name; those of shape (rows, channels, height, width) are images.

    Returns:
        The same names, shapes and dtypes. The images of a row share their shift, so that an image and its mask,
        of the same size, still fit.

    Raises:
        DataError: no input is an image.
    """
    images = _images(inputs)
    down, right, mirrored = _random(images, 3)
    return {**inputs, **{name: _moved(value, down, right, mirrored < 0.5) for name, value in images.items()}}


AUGMENTATIONS = {"none": None, "flip": flip, "crop_and_flip": crop_and_flip}
"""What recipes ask for, by name."""


def _images(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    images = {name: value for name, value in inputs.items() if value.ndim == 4}
    if not images:
        raise DataError(
            f"no input among {', '.join(inputs)} is an image (rows, channels, height, width); leave augment out"
        )
    return images


def _random(images: Mapping[str, Tensor], count: int) -> list[Tensor]:
    """Numbers from 0 to 1, (rows, 1) each."""
    first = next(iter(images.values()))
    return [torch.rand(len(first), 1, device=first.device) for _ in range(count)]


def _mirrored(images: Tensor, mirrored: Tensor) -> Tensor:
    """The images of the rows that ``mirrored`` (rows, 1) chooses the other way round, in the same layout."""
    return torch.where(mirrored[:, :, None, None], images.flip(3), images)


def _moved(images: Tensor, down: Tensor, right: Tensor, mirrored: Tensor) -> Tensor:
    """Shares ``down`` and ``right``, 0 to 1, of twice the greatest shift; (rows, 1) like ``mirrored``."""
    height, width = images.shape[2:]
    rows = _shifted(height, down, images.device)
    columns = _shifted(width, right, images.device)
    columns = torch.where(mirrored, columns.flip(1), columns)
    most = (width // 8, height // 8)
    padded = functional.pad(images, (most[0], most[0], most[1], most[1]))
    index = torch.arange(len(images), device=images.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    moved = moved.permute(0, 3, 1, 2)
    channels_last = images.is_contiguous(memory_format=torch.channels_last)
    return moved.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def _shifted(side: int, share: Tensor, device: torch.device) -> Tensor:
    """Positions in the padded image, (rows, side)."""
    return (share * (2 * (side // 8) + 1)).long() + torch.arange(side, device=device)
