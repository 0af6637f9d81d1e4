"""Qualcomm's Hexagon NPU, simulated on x86: ONNX Runtime's plugin compiles the file for a chip and runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import onnx
import onnx_ir as ir

from edgecompress.arrays import Inputs
from edgecompress.errors import EdgecompressError, RecipeError, nearest
from edgecompress.exporters.macs import count_macs
from edgecompress.progress import Progress
from edgecompress.validation.elsewhere import in_qnn
from edgecompress.validation.elsewhere.child import run_in_child
from edgecompress.validation.elsewhere.fixed_batch import fix_batch
from edgecompress.validation.elsewhere.place import Answer, Handling, RunNode, handled
from edgecompress.validation.elsewhere.precisions import precisions_of
from edgecompress.validation.elsewhere.segments import scheduled

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
    """The NPU of a system on a chip, and after how many seconds without a sample done a run counts as failed."""

    soc: str = DEFAULT
    limit_s: float = TIME_LIMIT_S
    memory_bytes: int | None = None
    progress: Progress = field(default_factory=Progress, compare=False)

    def telling(self, progress: Progress) -> Hexagon:
        """The same, which tells of its samples."""
        return replace(self, progress=progress)

    def run(self, model: Path, batches: Sequence[Inputs]) -> Answer:
        """Run every sample by itself: a compiled network has fixed shapes."""
        try:
            samples = fix_batch(model)
        except EdgecompressError as error:
            return Answer(failure=str(error))
        single = samples.split(batches)
        answer = run_in_child(
            CHILD,
            model,
            single,
            [self.soc],
            limit_s=self.limit_s,
            memory_bytes=self.memory_bytes,
            progress=self.progress,
            label=f"simulating {self.soc}",
        )
        outputs = samples.join(batches, answer.outputs) if answer.failure is None else ()
        nodes, ran_on = _described(answer.nodes, model, single[0]), {**answer.ran_on, **_sdk(answer.files)}
        return replace(answer, outputs=outputs, nodes=nodes, ran_on=ran_on)


@handled(
    Handling(
        step="simulate",
        devices=tuple(SOCS),
        unit="NPU",
        compiler="onnxruntime-qnn",
        fixed_shapes=True,
    )
)
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


def _sdk(files: Mapping[str, bytes]) -> dict[str, str]:
    """The version of Qualcomm's libraries that compiled a network, as the compiled network says."""
    nodes = (node for content in files.values() for node in onnx.load_from_string(content).graph.node)
    told = (each.s.decode() for node in nodes for each in node.attribute if each.name == "ep_sdk_version")
    version = next(told, None)
    return {} if version is None else {"QNN SDK": version.removeprefix("v")}


def _described(nodes: Sequence[RunNode], model: Path, sample: Inputs) -> list[RunNode]:
    """Nodes as they run, with their precisions and multiply-accumulates, without those that only turn the layout."""
    proto, precisions = onnx.load(model), precisions_of(model)
    macs = count_macs(ir.from_proto(proto), sample)
    unseen = {name for name, count in macs.items() if count} - {node.name for node in nodes}
    told = [
        replace(
            node,
            precision=_precision(node, precisions.get(node.name, "")),
            macs=None if unseen else macs.get(node.name, 0),  # what became part of another node is in no count
        )
        for node in nodes
        if node.name in precisions or node.operator != "Transpose"  # which the rewrite to channels last adds
    ]
    return scheduled(told, proto.graph)


def _precision(node: RunNode, quantized: str) -> str:
    """What it computed in: the NPU has no float32."""
    return quantized or ("f16" if node.unit == "NPU" else "f32")
