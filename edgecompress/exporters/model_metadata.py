"""What a file tells of itself in ONNX's ``metadata_props``: classes, how pictures become its input, its licence.

All values are text; a list has one value a line, which every language splits without a parser. ``model_license`` is
ONNX's own key. Where ``image_layout`` stands without ``image_mean``, nothing is left to normalize.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
import onnx_ir as ir

from edgecompress.arrays import Inputs
from edgecompress.recipe.samples import Images
from edgecompress.recipe.tables import Recipe

LICENSE, CLASSES = "model_license", "classes"
SIZE, LAYOUT, DTYPE = "image_size", "image_layout", "image_dtype"
SCALED, MEAN, STD = "image_scaled", "image_mean", "image_std"
NORMALIZATION = (SCALED, MEAN, STD)
PICTURE_RANK = 4


def model_metadata(recipe: Recipe, inputs: Inputs) -> dict[str, str]:
    """What is known of a network, by key.

    Args:
        recipe: with the names of the classes, the licence, and how pictures are normalized, as far as these are known.
        inputs: of the artifact, by name; the first picture among them, float32 of 4 dimensions, has the size.

    >>> model_metadata(Recipe.model_validate({"data": {"classes": ("cat", "dog")}}), {})
    {'classes': 'cat\\ndog'}
    """
    told = {} if recipe.export.license is None else {LICENSE: recipe.export.license}
    if recipe.data.classes:
        told[CLASSES] = _lines(recipe.data.classes)
    pictures = (array for array in inputs.values() if array.ndim == PICTURE_RANK and array.dtype == np.float32)
    picture = next(pictures, None)
    if picture is not None and recipe.images.mean is not None and recipe.images.std is not None:
        told |= _of_pictures(recipe.images, picture.shape)
    return told


def _of_pictures(images: Images, shape: tuple[int, ...]) -> dict[str, str]:
    last = images.layout == "channels_last"
    assert images.mean is not None
    assert images.std is not None
    return {
        SIZE: _lines(shape[1:3] if last else shape[2:]),
        LAYOUT: "nhwc" if last else "nchw",
        DTYPE: "float32",
        SCALED: str(images.scaled).lower(),
        MEAN: _lines(images.mean),
        STD: _lines(images.std),
        **({} if images.channels is None else {"image_channels": images.channels}),
        **({} if images.resize is None else {"image_resize": images.resize}),
    }


def takes_bytes(model: ir.Model, layout: str) -> None:
    """Say of a model that its picture is bytes of this layout, and that nothing is left to normalize."""
    if DTYPE in model.metadata_props:
        model.metadata_props.update({LAYOUT: layout, DTYPE: "uint8"})
    for key in NORMALIZATION:
        model.metadata_props.pop(key, None)


def metadata_of(content: bytes) -> dict[str, str]:
    """What a file tells of itself, by key, in the order of the keys."""
    props = onnx.load_model_from_string(content).metadata_props
    return {prop.key: prop.value for prop in sorted(props, key=lambda prop: prop.key)}


def write_metadata(proto: onnx.ModelProto, told: Mapping[str, str]) -> None:
    """Add entries to a model, in the place of those of the same keys."""
    kept = {prop.key: prop.value for prop in proto.metadata_props}
    onnx.helper.set_model_props(proto, {**kept, **told})


def _lines(values: Iterable[object]) -> str:
    return "\n".join(map(str, values))
