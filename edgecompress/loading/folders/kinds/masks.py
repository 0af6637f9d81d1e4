"""Pictures in ``images`` with masks of the same names in ``masks``: the value of a pixel is its class."""

from __future__ import annotations

from pathlib import Path

from edgecompress.errors import DataError
from edgecompress.loading.folders.folder import Folder, Sample, entries_of, matched, twin

MASKS = "masks"
LOOKED_FOR = "images/ and masks/"
SUFFIXES = (".bmp", ".gif", ".pgm", ".png", ".tif", ".tiff")
"""Formats that change no value, as JPEG does."""


def is_there(folder: Path) -> bool:
    """Whether there are two such folders."""
    return twin(folder, MASKS) is not None


def read(folder: Path) -> Folder:
    """The pictures by name.

    Raises:
        DataError: there are no two such folders, or a picture has no mask.
    """
    places = twin(folder, MASKS)
    if places is None:
        raise DataError(f"folder {str(folder)!r} has no images/ and masks/; put the pictures and their masks there")
    pictures, masks = places
    files = [path for path in entries_of(masks) if path.suffix.lower() in SUFFIXES]
    pairs = matched(pictures, files, "mask", f"put a PNG of the same name into {str(masks)!r}, or take the picture out")
    samples = tuple(Sample(picture=picture, told_in=mask, mask=mask) for picture, mask in pairs)
    return Folder(path=folder, samples=samples)
