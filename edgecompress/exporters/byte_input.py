"""An artifact that takes the bytes of a camera: its normalization goes into the first convolutions, or stands in front.

Where every reader of the picture is a float convolution with constant weights, these take the division: a weight is
multiplied by what its channel is divided by. The mean goes into their biases where they pad with nothing; a border of
zeros stands for the mean, so that elsewhere one subtraction is left. Where a reader is QuantizeLinear, and gives each
byte back as it is, it goes. Everything else gets the normalization in front, step by step as in float32, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir as ir

from edgecompress.arrays import Array
from edgecompress.errors import ModelError, plural
from edgecompress.exporters.graph import bypass, constant, initializer, insert_after, node
from edgecompress.exporters.model_metadata import takes_bytes
from edgecompress.exporters.pixels import WHITE, Pixels
from edgecompress.step import StepResult

RANK = 4
NO_PICTURES = (
    "'export.image_input' is 'uint8', and the model has no input of pictures, float32 of 4 dimensions; leave it out"
)


def take_bytes(artifact: bytes, pixels: Pixels, *, fold: bool = True) -> StepResult[ir.Model]:
    """A model that takes the bytes of pictures under the name of the input that they become.

    Args:
        artifact: bytes of an ONNX file with an input of pictures, float32 of 4 dimensions.
        pixels: how the bytes become that.
        fold: whether convolutions may take mean and deviation, which rounds elsewhere than the float input does.

    Raises:
        ModelError: it has no such input, or another number of channels.
    """
    model = ir.from_proto(onnx.load_from_string(artifact))
    image = picture_input(model)
    place = model.graph.inputs.index(image)
    shape = image.shape
    assert shape is not None
    _require_channels(image, pixels)
    order = (0, 2, 3, 1) if pixels.own == "nchw" else (0, 3, 1, 2)
    dimensions = list(shape) if pixels.layout == pixels.own else [shape[axis] for axis in order]
    given = ir.Value(name=image.name, shape=ir.Shape(dimensions), type=ir.TensorType(ir.DataType.UINT8))
    readers = [(reader, index) for reader, index in image.uses()]
    named = str(image.name)
    image.name = f"{named}_float"
    changes = _Front(model.graph, pixels, given, named, fold=fold).join(image, [reader for reader, _ in readers])
    model.graph.inputs[place] = given
    takes_bytes(model, pixels.layout)
    for name in [name for name, value in model.graph.initializers.items() if not value.uses()]:
        del model.graph.initializers[name]
    return StepResult(model=model, changes=changes)


def picture_input(model: ir.Model) -> ir.Value:
    """The first input of pictures: float32 of 4 dimensions.

    Raises:
        ModelError: there is none.
    """
    for value in model.graph.inputs:
        if value.dtype == ir.DataType.FLOAT and value.shape is not None and len(value.shape) == RANK:
            return value
    raise ModelError(NO_PICTURES)


def _require_channels(image: ir.Value, pixels: Pixels) -> None:
    assert image.shape is not None
    channels = image.shape[1 if pixels.own == "nchw" else 3]
    for values in (pixels.mean, pixels.std):
        if len(values) > 1 and isinstance(channels, int) and len(values) != channels:
            raise ModelError(
                f"input {image.name!r} has {plural(channels, 'channel')},"
                f" and images.mean and images.std have {len(values)}; set images.layout, or one value for each channel"
            )


class _Front:
    """What stands between the bytes and their readers, put into the graph in front of all nodes."""

    def __init__(self, graph: ir.Graph, pixels: Pixels, given: ir.Value, name: str, *, fold: bool) -> None:
        self._graph, self._pixels, self._name, self._may_fold = graph, pixels, name, fold
        self._nodes: list[ir.Node] = []
        self._value = given

    def join(self, image: ir.Value, readers: Sequence[ir.Node]) -> tuple[str, ...]:
        """Connect the bytes with the readers of the picture; what was done, in sentences."""
        if self._pixels.layout != self._pixels.own:
            perm = [0, 3, 1, 2] if self._pixels.own == "nchw" else [0, 2, 3, 1]
            self._append("Transpose", "channels", perm=perm)
        if readers and all(self._gives_bytes(reader) for reader in readers):
            for reader in readers:
                bypass(self._graph, reader, self._value)
            changes = [f"{reader.name}: each byte is its own integer, and QuantizeLinear is gone" for reader in readers]
        elif readers and self._may_fold and all(self._is_foldable(reader) for reader in readers):
            self._append("Cast", "cast", to=int(ir.DataType.FLOAT))
            changes = self._fold(readers)
        else:
            self._append("Cast", "cast", to=int(ir.DataType.FLOAT))
            changes = self._normalize(image)
        insert_after(self._graph, None, self._nodes)
        return tuple(changes)

    def _append(self, op_type: str, suffix: str, *inputs: ir.Value, **attributes: object) -> None:
        made = node(op_type, [self._value, *inputs], f"{self._name}_{suffix}", f"{self._name}_{suffix}", **attributes)
        self._nodes.append(made)
        self._value = made.outputs[0]

    def _constant(self, suffix: str, array: Array) -> ir.Value:
        return initializer(self._graph, f"{self._name}_{suffix}", array)

    def _normalize(self, image: ir.Value) -> list[str]:
        """As NumPy does it in float32, in as few steps as give the same bits."""
        for index, (name, value) in enumerate(self._pixels.steps):
            self._append(name, f"normalized_{index}", self._constant(f"step_{index}", value))
        image.replace_all_uses_with(self._value)
        return [f"{self._name}: normalized in the graph, as it was before it"]

    def _is_foldable(self, reader: ir.Node) -> bool:
        if reader.op_type != "Conv" or self._pixels.own != "nchw" or reader.attributes.get_int("group", 1) != 1:
            return False
        weight, bias = constant(reader.inputs[1]), reader.inputs[2] if len(reader.inputs) > 2 else None
        fits = bias is None or constant(bias) is not None
        return fits and weight is not None and weight.dtype == np.float32 and weight.ndim == RANK

    def _fold(self, readers: Sequence[ir.Node]) -> list[str]:
        pixels, changes = self._pixels, []
        channels = _weight(readers[0]).shape[1]
        means = _each(pixels.mean, channels) * (WHITE if pixels.scaled else 1)
        factors = 1 / (_each(pixels.std, channels) * (WHITE if pixels.scaled else 1))
        into_bias = all(map(_has_no_border, readers)) and bool(means.any())
        if means.any() and not into_bias:
            self._append("Sub", "centered", self._constant("mean", means.astype(np.float32).reshape(-1, 1, 1)))
        for reader in readers:
            weight = _weight(reader).astype(np.float64) * factors.reshape(1, -1, 1, 1)
            reader.replace_input_with(0, self._value)
            reader.replace_input_with(1, self._constant(f"{reader.name}_weight", weight.astype(np.float32)))
            if into_bias:
                self._shift(reader, -(weight * means.reshape(1, -1, 1, 1)).sum((1, 2, 3)))
            where = "mean and deviation" if into_bias or not means.any() else "deviation"
            changes.append(f"{reader.name}: its weights hold the {where} of the pictures")
        return changes

    def _shift(self, reader: ir.Node, by: Array) -> None:
        bias = constant(reader.inputs[2]) if len(reader.inputs) > 2 else None
        moved = (by if bias is None else bias + by).astype(np.float32)
        value = self._constant(f"{reader.name}_bias", moved)
        if len(reader.inputs) > 2:
            reader.replace_input_with(2, value)
            return
        reader.resize_inputs(3)
        reader.replace_input_with(2, value)

    def _gives_bytes(self, reader: ir.Node) -> bool:
        """Whether it is a QuantizeLinear that makes of each byte, normalized, the same integer."""
        if reader.op_type != "QuantizeLinear":
            return False
        scale = constant(reader.inputs[1])
        zero = constant(reader.inputs[2]) if len(reader.inputs) > 2 else np.uint8(0)
        if scale is None or zero is None or scale.size != 1 or zero.size != 1 or zero.dtype != np.uint8:
            return False
        every = np.arange(WHITE + 1, dtype=np.uint8)
        channels = max(len(self._pixels.mean), len(self._pixels.std))
        shape = (1, WHITE + 1, 1, 1) if self._pixels.layout == "nhwc" else (1, 1, WHITE + 1, 1)
        axis = 3 if self._pixels.layout == "nhwc" else 1
        floats = self._pixels.normalized(np.repeat(every.reshape(shape), channels, axis))
        integers = np.clip(np.rint(floats / scale.reshape(())) + int(zero.reshape(())), 0, WHITE)
        wanted = np.moveaxis(integers, 1 if self._pixels.own == "nchw" else 3, -1).reshape(-1, channels)
        return bool((wanted == every[:, None]).all())


def _weight(reader: ir.Node) -> Array:
    weight = constant(reader.inputs[1])
    assert weight is not None
    return weight


def _each(values: tuple[float, ...], channels: int) -> Array:
    return np.broadcast_to(np.array(values, np.float64), (channels,))


def _has_no_border(reader: ir.Node) -> bool:
    padding = reader.attributes.get("auto_pad")
    if padding is not None and padding.as_string() not in ("NOTSET", "VALID"):
        return False
    pads = reader.attributes.get("pads")
    return pads is None or not any(pads.as_ints())
