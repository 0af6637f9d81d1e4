"""The samples of a folder as a dataset: inputs of a network, with targets where they lie in these."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from edgecompress.arrays import Array
from edgecompress.errors import DataError
from edgecompress.loading.folders.folder import DrawnBoxes, Folder, Label, Sample
from edgecompress.loading.folders.framing import Framing, Size, framing
from edgecompress.loading.folders.picture import UNKNOWN, read_mask, read_picture
from edgecompress.metrics.accuracy import IGNORED_LABEL
from edgecompress.recipe.samples import Images

GRAY, COLORS = "L", "RGB"


@dataclass(frozen=True, kw_only=True)
class Pictures(Dataset[Any]):
    """``(picture, target)`` for each sample, or the picture where it has no target.

    A picture is float32 (channels, height, width), or (height, width, channels), normalized. A target is a class index;
    a mask (height, width) int64 of class indices, -100 where nothing counts; or a dict of ``boxes`` (boxes, 4) float32,
    left, top, right, bottom in pixels of the input, ``labels`` (boxes,) int64 and, where known, ``iscrowd`` (boxes,)
    int64. Boxes end where the input does; those that lie outside of it are left out.

    Attributes:
        folder: the samples.
        images: how they are read; ``size``, ``resize``, ``channels`` and ``layout`` are settled.
        classes: names in the order of the indices; empty where there are no names.
    """

    folder: Folder
    images: Images
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.folder.samples)

    def __getitem__(self, index: int) -> Any:
        sample = self.folder.samples[index]
        mask = None if sample.mask is None else read_mask(sample.mask)
        drawn = _drawn_on(sample, mask)
        picture = read_picture(sample.picture, GRAY if self.images.channels == "gray" else COLORS, drawn)
        size: Size = picture.size[::-1]
        if drawn is not None and size != drawn:
            raise DataError(
                f"picture {str(sample.picture)!r} has {size[1]} x {size[0]} pixels, its target in"
                f" {str(sample.told_in)!r} {drawn[1]} x {drawn[0]}; give both one size"
            )
        framed = framing(size, self.images)
        pixels = self._normalized(np.asarray(framed.place(picture, self.images.border), np.float32))
        if mask is not None:
            return pixels, framed.place_mask(self._classes_of(mask, sample), IGNORED_LABEL)
        if sample.boxes is not None:
            return pixels, self._boxes(sample.boxes, size, framed)
        return pixels if sample.label is None else (pixels, self._index(sample.label))

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.classes)}

    def _index(self, label: Label) -> int:
        return self._indices[label] if isinstance(label, str) else label

    def _normalized(self, pixels: Array) -> Array:
        """From (height, width) or (height, width, 3)."""
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        if self.images.channels == "bgr":
            pixels = pixels[:, :, ::-1]
        if self.images.scaled:
            pixels = pixels / np.float32(255)
        normalized = (pixels - np.array(self.images.mean, np.float32)) / np.array(self.images.std, np.float32)
        last = self.images.layout == "channels_last"
        return np.ascontiguousarray(normalized if last else normalized.transpose(2, 0, 1))

    def _classes_of(self, mask: Array, sample: Sample) -> Array:
        """Class indices in the place of a mask's values."""
        values = self.images.mask_values or range(len(self.classes))
        if not values:
            return np.where(mask == UNKNOWN, IGNORED_LABEL, mask)
        classes = np.full_like(mask, IGNORED_LABEL)
        for index, value in enumerate(values):
            classes[mask == value] = index
        strange = mask[(classes == IGNORED_LABEL) & (mask != UNKNOWN)]
        if strange.size:
            raise DataError(
                f"mask {str(sample.mask)!r} has the value {strange[0]}, which is no class; name all classes"
                " (data.classes), or their values (images.mask_values)"
            )
        return classes

    def _boxes(self, boxes: DrawnBoxes, size: Size, framed: Framing) -> dict[str, Array]:
        whole = boxes.corners * np.array([size[1], size[0]] * 2, np.float64)
        moved = framed.move(whole)
        corners = moved.clip(0, np.array([framed.size[1], framed.size[0]] * 2, np.float64))
        kept = ((corners[:, 2:] > corners[:, :2]) | (moved[:, 2:] == moved[:, :2])).all(1)
        labels = np.array([self._index(label) for label in boxes.labels], np.int64)
        target = {"boxes": corners[kept].astype(np.float32), "labels": labels[kept]}
        return target if boxes.crowds is None else {**target, "iscrowd": boxes.crowds[kept]}


def _drawn_on(sample: Sample, mask: Array | None) -> Size | None:
    """Height and width of the picture that a target belongs to, where the target has them."""
    if mask is not None:
        return mask.shape[0], mask.shape[1]
    return None if sample.boxes is None else sample.boxes.size
