"""All that the report tells of single layers."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from edgecompress.data.batches import Batches
from edgecompress.diagnosis.damage import Damage, measure_damage
from edgecompress.diagnosis.kernels import Kernel, measure_kernels
from edgecompress.diagnosis.network import DrawnOperator, draw_network
from edgecompress.diagnosis.ranges import Range, measure_ranges
from edgecompress.diagnosis.sizes import LayerSize, compare_sizes
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import network_rows
from edgecompress.step import Conversion
from edgecompress.targets.cpus import threads_here

SHOWN_RANGES = 6
"""Activations whose values are counted: those of the most damaged layers."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Losses of accuracy, bytes and time by layer.

    ``damages`` and ``ranges`` are empty where nothing was quantized.
    """

    sizes: tuple[LayerSize, ...]
    kernels: tuple[Kernel, ...]
    damages: tuple[Damage, ...] = ()
    ranges: tuple[Range, ...] = ()
    network: tuple[DrawnOperator, ...] = ()


def diagnose(conversion: Conversion, artifact: bytes, batches: Batches, recipe: Recipe) -> Diagnosis:
    """Look into an artifact.

    Args:
        conversion: the steps that led to it.
        artifact: bytes of its ONNX file.
        batches: data that fit it; the first samples are run.
        recipe: what was asked for; its threads are those of the session whose kernels are timed.
    """
    batch, shipped = batches.first(), conversion.artifact
    sample = batch.sample(network_rows(shipped, batch.axes) or 1).inputs
    threads = threads_here(recipe.cpu.threads)
    damages, ranges = _rounding(conversion, shipped, batches)
    return Diagnosis(
        sizes=tuple(compare_sizes(conversion.original, shipped)),
        kernels=tuple(measure_kernels(artifact, sample, threads)),
        damages=tuple(damages),
        ranges=tuple(ranges),
        network=tuple(draw_network(artifact, sample, threads)),
    )


def _rounding(conversion: Conversion, shipped: ir.Model, batches: Batches) -> tuple[list[Damage], list[Range]]:
    """What the last step did, where that made integers."""
    if conversion.rounded is None:
        return [], []
    (floats, last), batch = conversion.rounded, batches.first()
    damages = measure_damage(floats, shipped, batch)
    worst = sorted((damage for damage in damages if damage.rounding_db is not None), key=lambda damage: damage.sqnr_db)
    codes = int(last.result.metrics["activation_codes"])
    return damages, measure_ranges(floats, shipped, [damage.value for damage in worst[:SHOWN_RANGES]], codes, batch)
