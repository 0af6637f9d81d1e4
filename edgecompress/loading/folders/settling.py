"""What a recipe leaves open of how folders are read: the network, and what lies in the folders, settle it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgecompress.errors import DataError
from edgecompress.loading.folders.dataset import Pictures
from edgecompress.loading.folders.folder import Folder
from edgecompress.loading.folders.picture import UNKNOWN, read_mask
from edgecompress.loading.folders.recognition import read_folder
from edgecompress.modules.preprocessing import preprocessing_of
from edgecompress.recipe.consistency import check_texts
from edgecompress.recipe.samples import Images
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import Network, declared_shapes

DEFAULTS: Mapping[str, Any] = {
    "size": (224, 224),
    "resize": "stretch",
    "crop_share": 0.875,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}
"""Where neither the recipe nor the network says anything; mean and deviation are ImageNet's."""
CHANNELS = (1, 3)
IMAGE_RANK = 4


def is_folder(data: Any) -> bool:
    """Whether DATA is the path of a folder."""
    return isinstance(data, (str, os.PathLike)) and Path(data).is_dir()


def settle_folders(
    data: Mapping[str, Any],
    recipe: Recipe,
    network: Network | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, Any], Recipe]:
    """DATA with datasets in the place of folders, and the recipe with all that says how these are read.

    Args:
        data: by role.
        recipe: ``data`` and ``images`` hold where they say something.
        network: what its first image declares is the default. The names of its classes give labels their numbers where
            it has all of the folders', and otherwise these lie in alphabetical order.
        warn: told how pictures are read where neither the recipe nor the network says it.

    Raises:
        DataError: a folder cannot be read, or the classes of folders differ.
        RecipeError: ``images`` does not fit the network's channels.
    """
    folders = {
        role: read_folder(Path(given), role, recipe.data.folder) for role, given in data.items() if is_folder(given)
    }
    known = preprocessing_of(network).classes
    if not folders:
        return dict(data), _with_classes(recipe, recipe.data.classes or known)
    if recipe.training.augmentation != "none" and "train" in folders and folders["train"].has_places:
        raise DataError(
            f"'training.augmentation' is {recipe.training.augmentation!r}, which moves pictures and not their masks or"
            " boxes; set training.augmentation=none"
        )
    if not recipe.images.mask_values:
        for folder in folders.values():
            _require_classes(folder)
    images = settled_images(recipe.images, network, boxes=any(folder.has_boxes for folder in folders.values()))
    for line in _assumed(recipe.images, images, network):
        warn(line)
    own = max((folder.names for folder in folders.values()), key=len)
    classes = recipe.data.classes or (known if {*own} <= {*known} else own)
    for role, folder in folders.items():
        _require_known(folder, role, classes)
    read = {role: Pictures(folder=folder, images=images, classes=classes) for role, folder in folders.items()}
    return {**data, **read}, _with_classes(recipe.model_copy(update={"images": images}), classes)


def _with_classes(recipe: Recipe, classes: Sequence[str]) -> Recipe:
    """The recipe with the names of the classes, which the report shows."""
    if not classes:
        return recipe
    check_texts("data.classes", classes)
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"classes": tuple(classes)})})


def settled_images(images: Images, network: Network | None, *, boxes: bool) -> Images:
    """``images`` with a value in the place of each that is left open: what the network declares, what was stored with a
    pretrained one, or a default.

    Raises:
        RecipeError: the values of mean or deviation do not fit the channels.
    """
    shape = _image_shape(network)
    layout = images.layout or ("channels_last" if _is_last(shape) else "channels_first")
    channels = shape[3 if layout == "channels_last" else 1]
    declared = _declared_size(shape, layout)
    pretrained = preprocessing_of(network).images
    settled = {**DEFAULTS, **pretrained, **declared, **({"resize": "letterbox"} if boxes else {})}
    settled |= {"channels": pretrained.get("channels", "gray" if channels == 1 else "rgb"), "layout": layout}
    asked = {key: value for key, value in dict(images).items() if value is not None}
    return images.model_copy(update=settled | asked)


SIZE = "--set images.size=96"
NORMALIZATION = "--set images.mean=0.5, --set images.std=0.5 (of pixels from 0 to 1)"
"""What a user may write for a size, and for a normalization."""


def _assumed(asked: Images, settled: Images, network: Network | None) -> Iterator[str]:
    """What was taken for want of anything better: the size and the normalization that most pretrained networks have."""
    said = {key for key, value in dict(asked).items() if value is not None} | {*preprocessing_of(network).images}
    assert settled.size is not None
    said |= {*_declared_size(_image_shape(network), settled.layout)}
    taken = {
        SIZE: "" if "size" in said else f"resized to {settled.size[0]} x {settled.size[1]}",
        NORMALIZATION: "" if {"mean", "std"} & said else "normalized as for ImageNet",
    }
    if any(taken.values()):
        fixes, told = zip(*((fix, what) for fix, what in taken.items() if what), strict=True)
        yield (
            f"nothing says how pictures were prepared in training: they are {' and '.join(told)}; if training did"
            f" otherwise, give its values, such as: {', '.join(fixes)}"
        )


def _image_shape(network: Network | None) -> tuple[int | str, ...]:
    """The shape that a network declares for its first image; unnamed dimensions where it declares none."""
    shapes = declared_shapes(network).values() if network is not None else ()
    return next((shape for shape in shapes if len(shape) == IMAGE_RANK), ("",) * IMAGE_RANK)


def _declared_size(shape: Sequence[int | str], layout: str | None) -> dict[str, Any]:
    """Height and width, where a shape fixes both."""
    size = tuple(shape[1:3] if layout == "channels_last" else shape[2:])
    return {"size": size} if all(isinstance(side, int) for side in size) else {}


def _is_last(shape: tuple[int | str, ...]) -> bool:
    return shape[1] not in CHANNELS and shape[3] in CHANNELS


def _require_known(folder: Folder, role: str, classes: Iterable[str]) -> None:
    """Refuse a label that is no class, where the classes have names."""
    names = list(classes)
    known = {*names, *range(len(names))}
    for sample in folder.samples if names else ():
        if strange := [label for label in sample.labels if label not in known]:
            raise DataError(
                f"{role} sample {str(sample.picture)!r} has the class {strange[0]!r} in {str(sample.told_in)!r}, which"
                f" is none of {_few(names)}; name all classes in order (data.classes)"
            )


def _require_classes(folder: Folder) -> None:
    """Refuse masks of black and white; the first one that has another value says that they are not."""
    white = False
    for sample in folder.samples:
        values = {0} if sample.mask is None else {*np.unique(read_mask(sample.mask)).tolist()}
        if values - {0, UNKNOWN}:
            return
        white = white or UNKNOWN in values
    if white:
        raise DataError(
            f"the masks of {str(folder.path)!r} hold 0 and 255 only, and 255 does not count; where it is a class, set"
            " images.mask_values=[0,255], else images.mask_values=[0]"
        )


def _few(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:4])}, ... {names[-1]}"
