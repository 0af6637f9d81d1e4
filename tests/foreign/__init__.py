"""ONNX files as other exporters write them, drawn from a seed: Keras, Paddle, PyTorch's older exporter, and by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from tests.foreign import branches, keras, paddle, states, torchscript
from tests.foreign.writing import Array, Drawn

OPSETS = (9, 22)
ROWS, BATCHES = 8, 3
MAKERS: Mapping[str, Callable[[np.random.Generator, int], Drawn]] = {
    "keras": keras.drawn,
    "paddle": paddle.drawn,
    "torchscript": torchscript.drawn,
    "branches": branches.drawn,
    "states": states.drawn,
}


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A file, and batches of what it takes: ``ROWS`` samples each."""

    name: str
    model: onnx.ModelProto
    batches: tuple[dict[str, Array], ...]

    def __repr__(self) -> str:
        return f"{self.name}\n{onnx.printer.to_text(self.model.graph)[:4000]}"


def foreign(maker: str, opset: int, seed: int, batches_from: int = 0) -> Foreign:
    """The same file for the same arguments; other batches for another seed of theirs."""
    drawn = MAKERS[maker](np.random.default_rng(seed), opset)
    rng = np.random.default_rng([seed, batches_from])
    rows = drawn.rows or ROWS
    batches = tuple({name: blank(rng, rows) for name, blank in drawn.inputs.items()} for _ in range(BATCHES))
    return Foreign(name=f"foreign({maker!r}, {opset}, {seed})", model=drawn.model, batches=batches)
