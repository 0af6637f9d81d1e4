"""What a network becomes on its way through edgecompress: the float file, and the INT8 one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from edgecompress.data.splits import Streams
from edgecompress.loading.sources import open_batches
from edgecompress.pipeline.fold import convert
from edgecompress.recipe.tables import Quantization, Recipe
from edgecompress.runtime import to_bytes
from edgecompress.step import Conversion
from edgecompress.techniques.context import Context


def float_file(network: nn.Module, calibration: Sequence[Tensor]) -> bytes:
    """The network as the float ONNX file that an artifact is compared with."""
    return to_bytes(_converted(network, calibration, Recipe()).original)


def int8_file(network: nn.Module, calibration: Sequence[Tensor]) -> bytes:
    """The network in integers, scheme ``qnnpack``."""
    recipe = Recipe(quantization=Quantization(enabled=True, scheme="qnnpack"))
    return to_bytes(_converted(network, calibration, recipe).artifact)


def _converted(network: nn.Module, calibration: Sequence[Tensor], recipe: Recipe) -> Conversion:
    batches = open_batches(calibration, "calibration", network, recipe)
    return convert(network, Context(recipe=recipe, example=batches.first(), streams=Streams(calibration=batches)))
