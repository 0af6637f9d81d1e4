"""Qualcomm's Hexagon NPU, simulated on x86: ONNX Runtime's plugin compiles the file for a chip and runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from edgecompress.arrays import Inputs
from edgecompress.errors import EdgecompressError, RecipeError, nearest
from edgecompress.validation.elsewhere import in_qnn
from edgecompress.validation.elsewhere.child import run_in_child
from edgecompress.validation.elsewhere.fixed_batch import fix_batch
from edgecompress.validation.elsewhere.place import Answer, Handling, RunNode, handled
from edgecompress.validation.elsewhere.precisions import precisions_of

TIME_LIMIT_S = 1800.0
CHILD = Path(in_qnn.__file__)
SOCS = {
    "sm8350": "Snapdragon 888",
    "sm8450": "Snapdragon 8 Gen 1",
    "sm8475": "Snapdragon 8+ Gen 1",
    "sm8550": "Snapdragon 8 Gen 2",
    "sm8650": "Snapdragon 8 Gen 3",
    "sm8750": "Snapdragon 8 Elite",
    "sm8850": "Snapdragon 8 Elite Gen 5",
    "sc8380xp": "Snapdragon X Elite",
}
"""Those that onnxruntime-qnn 2.7 knows by name and compiles for, and how they are sold. A name that it does not know it
takes for no name at all, and compiles for another chip."""
DEFAULT = "sm8650"


@dataclass(frozen=True, kw_only=True)
class Hexagon:
    """The NPU of a system on a chip, and after how many seconds a run counts as failed."""

    soc: str = DEFAULT
    limit_s: float = TIME_LIMIT_S
    memory_bytes: int | None = None

    def run(self, model: Path, batches: Sequence[Inputs]) -> Answer:
        """Run every sample by itself: a compiled network has fixed shapes."""
        try:
            samples = fix_batch(model)
        except EdgecompressError as error:
            return Answer(failure=str(error))
        precisions = precisions_of(model)
        answer = run_in_child(
            CHILD, model, samples.split(batches), [self.soc], limit_s=self.limit_s, memory_bytes=self.memory_bytes
        )
        nodes = [
            replace(node, precision=_precision(node, precisions.get(node.name, "")))
            for node in answer.nodes
            if node.name in precisions or node.operator != "Transpose"  # which the rewrite to channels last adds
        ]
        outputs = samples.join(batches, answer.outputs) if answer.failure is None else ()
        return replace(answer, outputs=outputs, nodes=nodes)


@handled(Handling(step="simulate", devices=tuple(SOCS), fixed_shapes=True))
def find_place(device: str) -> Hexagon:
    """The NPU of a system on a chip, of Snapdragon 8 Gen 3 where none is named.

    Raises:
        RecipeError: the plugin is not installed, or the system on a chip is unknown.
    """
    if device and device not in SOCS:
        raise RecipeError(f"unknown system on a chip {device!r}; name one of {', '.join(SOCS)}{nearest(device, SOCS)}")
    if find_spec("onnxruntime_qnn") is None:
        raise RecipeError("runtime 'qnn' needs onnxruntime-qnn; pip install 'edgecompress[qnn]'")
    return Hexagon(soc=device or DEFAULT)


def _precision(node: RunNode, quantized: str) -> str:
    """What it computed in: the NPU has no float32."""
    return quantized or ("f16" if node.unit == "NPU" else "f32")
