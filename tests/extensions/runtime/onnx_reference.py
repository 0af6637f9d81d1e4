"""A runtime of a package of its own: ONNX's reference implementation, which computes with NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx.reference import ReferenceEvaluator

from edgecompress.arrays import Inputs
from edgecompress.errors import RecipeError
from edgecompress.validation.elsewhere.place import Answer


class Reference:
    """NumPy."""

    def run(self, model: Path, batches: Sequence[Inputs]) -> Answer:
        """Run every batch; no kernel of ONNX Runtime is used."""
        evaluator = ReferenceEvaluator(str(model))
        names = evaluator.output_names
        outputs = [dict(zip(names, evaluator.run(None, dict(inputs)), strict=True)) for inputs in batches]
        return Answer(outputs=outputs, ran_on={"onnx": onnx.__version__})


def find_place(device: str) -> Reference:
    """The reference implementation, on the one device that it has."""
    if device not in ("", "numpy"):
        raise RecipeError(f"onnx_reference has no device {device!r}; leave it out")
    return Reference()
