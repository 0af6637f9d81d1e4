"""Where QDQ pairs pay: python -m benchmarks.placement

Prints a Markdown table, one row for each pattern of the placement table: its latency with float
convolutions around it, with the pattern alone left float between integer convolutions, and all integer;
one thread, interleaved, medians. ``integer pays`` is the ratio of the last two.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx_ir as ir

from edgecompress.data import Array, Batches, InputNames
from edgecompress.exporters.static import quantize_static
from edgecompress.metrics import Agreement
from edgecompress.progress import Progress
from edgecompress.recipe import Quantization
from edgecompress.runtime import open_session, run_session
from edgecompress.validation.latency import interleave
from tests.exporters.patterns import FLOAT, INTEGER, Pattern, model_of

CHANNELS, SIDE, ROUNDS = 64, 28, 60
HEADINGS = ("pattern", "float, ms", "left float between integers, ms", "integer, ms", "integer pays", "SQNR, dB")


def quantize(model: ir.Model, data: list[Array], keep_float: tuple[str, ...]) -> ir.Model:
    """The artifact of the ``fbgemm`` scheme."""
    batches = Batches(role="calibration", source=lambda: data, inputs=InputNames(names=("x",), required=1))
    recipe = Quantization(enabled=True, scheme="fbgemm", keep_float=keep_float)
    return quantize_static(model, recipe, batches, Progress()).model


def row(pattern: Pattern) -> tuple[str, ...]:
    """The cells of one line of the table."""
    model = model_of(pattern, CHANNELS, SIDE)
    data = [
        np.random.default_rng(seed).standard_normal((4, CHANNELS, SIDE, SIDE)).astype(np.float32) for seed in (0, 1)
    ]
    fresh = {"x": np.random.default_rng(2).standard_normal((1, CHANNELS, SIDE, SIDE)).astype(np.float32)}
    models = [model, quantize(model, data, pattern.nodes), quantize(model, data, ())]
    sessions = [open_session(one, threads=1) for one in models]
    times = np.median(interleave([partial(run_session, session, fresh) for session in sessions], ROUNDS), axis=0)
    expected, _, actual = (run_session(session, fresh) for session in sessions)
    decibel = Agreement.between(expected, actual).sqnr_db
    return (pattern.name, *(f"{time:.3f}" for time in times), f"{times[1] / times[2]:.2f}x", f"{decibel:.1f}")


def main() -> None:
    """Measure every pattern and print the table."""
    for cells in (HEADINGS, ("---",) * len(HEADINGS), *map(row, (*INTEGER, *FLOAT))):
        print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
