"""What a recipe says of DATA: how folders and datasets become batches, and how pictures become inputs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgecompress.recipe.consistency import check_channels, check_names, check_texts
from edgecompress.recipe.table import Table
from edgecompress.recipe.values import Positive, PositiveInt


class Samples(Table):
    """How a folder, or a dataset, becomes batches of samples with their targets."""

    folder: Literal["classes", "labels", "masks", "coco", "yolo", "pictures"] | None = None
    """What a folder holds; by default what is found in it. Calibration data may lie in another way."""
    classes: tuple[str, ...] = ()
    """Names of the classes in the order of their indices; by default those of the folder with the most of them."""
    batch_size: PositiveInt = 16
    """Samples to a batch, where the network and ``export.batch_size`` leave it open."""
    max_tokens: PositiveInt = 128
    """Tokens that a text is filled or cut to, where the tokenizer of a pretrained network reads texts."""

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        check_texts("data.classes", self.classes)
        check_names("data.classes", self.classes)
        return self


class Images(Table):
    """How a picture of a folder becomes an input: turned upright, resized (bilinear), scaled, normalized."""

    size: tuple[PositiveInt, PositiveInt] | None = None
    """Height and width in pixels; by default what the network declares or says, else 224 and 224."""
    resize: Literal["stretch", "crop", "letterbox"] | None = None
    """How a picture fits: ``stretch`` takes all of it, ``crop`` its middle, ``letterbox`` all of it with borders;
    by default ``letterbox`` where there are boxes, else ``stretch``."""
    crop_share: Annotated[float, Field(gt=0, le=1)] | None = None
    """For ``crop``: the share of the largest middle of the input's shape that is taken; by default what a pretrained
    network says, else 0.875."""
    border: Annotated[int, Field(ge=0, le=255)] = 114
    """For ``letterbox``: the value of the border, 0 to 255."""
    channels: Literal["rgb", "bgr", "gray"] | None = None
    """Their order; by default ``gray`` where the network declares one channel, else ``rgb``."""
    layout: Literal["channels_first", "channels_last"] | None = None
    """Where they lie; by default as the network declares it, else first."""
    scaled: bool = True
    """Scale 0 to 255 to 0 to 1 before the mean is subtracted."""
    mean: Annotated[tuple[float, ...], Field(min_length=1, max_length=3)] | None = None
    """Of each channel in their order, or one for all; subtracted. By default what a pretrained network says, else
    ImageNet's."""
    std: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=3)] | None = None
    """Of each channel in their order, or one for all; divided by. The default is as for ``mean``."""
    mask_values: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """The value of each class in the masks, in the order of the classes; by default the values are the classes, and 255
    does not count."""

    @model_validator(mode="after")
    def _fits_channels(self) -> Self:
        given = {"images.mean": self.mean, "images.std": self.std}
        check_channels(self.channels, {path: values for path, values in given.items() if values is not None})
        check_names("images.mask_values", self.mask_values)
        return self
