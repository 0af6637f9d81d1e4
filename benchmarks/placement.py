"""Where QDQ pairs pay: python -m benchmarks.placement

Prints a Markdown table, one row for each pattern of the placement table: its latency with float
convolutions around it, with the pattern alone left float between integer convolutions, and all integer;
one thread, interleaved, medians. ``integer pays`` is the ratio of the last two. A second table does the same for
the first convolutions of a network, by their widths; where the last column says so, they stay float by default.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import onnx_ir as ir

from edgecompress.arrays import Array
from edgecompress.data.batches import Batches, InputNames
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.kept_float import narrow_entry
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import open_session, run_session
from edgecompress.timing.interleaving import interleave
from tests.exporters.patterns import FLOAT, INTEGER, Pattern, entry_of, model_of

CHANNELS, SIDE, ROUNDS = 64, 28, 60
STEMS = ((3, 3), (3, 7), (1, 3), (1, 7), (4, 3))
"""Input channels and side of the kernel of a first convolution of stride 2."""
STEM_WIDTHS, DEPTHWISE_WIDTHS, IMAGE_SIDE = (16, 32, 64, 96), (16, 32, 48, 64, 96), 160
HEADINGS = ("pattern", "float, ms", "left float between integers, ms", "integer, ms", "integer pays", "SQNR, dB")
ENTRY_HEADINGS = ("entry", "float, ms", "it alone float, ms", "integer, ms", "integer pays", "SQNR, dB", "by default")


def quantize(model: ir.Model, data: list[Array], keep_float: tuple[str, ...]) -> ir.Model:
    """The artifact of the ``fbgemm`` scheme."""
    batches = Batches(role="calibration", source=lambda: data, inputs=InputNames(names=("x",), required=1))
    recipe = Quantization(enabled=True, scheme="fbgemm", keep_float=keep_float, integer_entry=True)
    return quantize_static(model, recipe, batches, Progress()).model


def row(name: str, model: ir.Model, shape: tuple[int, int, int], nodes: tuple[str, ...]) -> tuple[str, ...]:
    """The cells of one line: a model for inputs of ``shape``; some of its ``nodes`` are in question."""
    draws = [np.random.default_rng(seed).standard_normal((4, *shape)).astype(np.float32) for seed in range(3)]
    data, fresh = draws[:2], {"x": draws[2][:1]}
    models = [model, quantize(model, data, nodes), quantize(model, data, ())]
    sessions = [open_session(each, threads=1) for each in models]
    times = np.median(interleave([partial(run_session, session, fresh) for session in sessions], ROUNDS), axis=0)
    expected, _, actual = (run_session(session, fresh) for session in sessions)
    decibel = Agreement.between(expected, actual).sqnr_db
    return (name, *(f"{time:.3f}" for time in times), f"{times[1] / times[2]:.2f}x", f"{decibel:.1f}")


def pattern_row(pattern: Pattern) -> tuple[str, ...]:
    """A pattern between convolutions."""
    return row(pattern.name, model_of(pattern, CHANNELS, SIDE), (CHANNELS, SIDE, SIDE), pattern.nodes)


def entry_row(inputs: int, kernel: int, width: int, depthwise: int | None) -> tuple[str, ...]:
    """A first convolution, and a depthwise one behind it where ``depthwise`` is the side of its kernel."""
    model = entry_of(inputs, kernel, width, depthwise, IMAGE_SIDE)
    name = f"{inputs} to {width}, {kernel}x{kernel}"
    nodes = ("a",) if depthwise is None else ("a", "d")
    told = name if depthwise is None else f"{name}, depthwise {depthwise}x{depthwise}"
    floats = "float" if narrow_entry(model.graph) == [*nodes] else "integer"
    return (*row(told, model, (inputs, IMAGE_SIDE, IMAGE_SIDE), nodes), floats)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Markdown, line by line as it is measured."""
    for cells in itertools.chain([headings, ["---"] * len(headings)], rows):
        print("|", " | ".join(cells), "|", flush=True)


def main() -> None:
    """Measure every pattern and every entry and print the tables."""
    print_table(HEADINGS, map(pattern_row, (*INTEGER, *FLOAT)))
    print()
    stems = [(*stem, width, None) for stem in STEMS for width in STEM_WIDTHS]
    print_table(ENTRY_HEADINGS, itertools.starmap(entry_row, [*stems, *((3, 3, each, 3) for each in DEPTHWISE_WIDTHS)]))


if __name__ == "__main__":
    main()
