"""INT8 files of ours, NNCF's and ONNX Runtime's on the simulated Hexagon NPU: python -m benchmarks.npu

Each network is quantized by every tool on the same data, compiled for one chip, and run there on the same images. The
table shows which share of the multiply-accumulates runs on the NPU, the agreement of what comes out with the float
model and with ONNX Runtime's CPU provider, and for trained networks the points of accuracy against the float model,
with the interval of 95 % that the number of images leaves.
Needs ``onnxruntime-qnn`` and ``nncf``; ONNX Runtime's tool is used as its page on QNN advises (``get_qnn_qdq_config``).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quantizers import TOOLS
from benchmarks.subjects import calibration_batches, prepare, subjects
from edgecompress.arrays import Array, Inputs
from edgecompress.errors import first_line
from edgecompress.metrics.agreement import Agreement
from edgecompress.metrics.bootstrap import Interval, bounds, draws
from edgecompress.runtime import ALL_CORES, open_session, run_session
from edgecompress.system.scratch import scratch_folder
from edgecompress.validation.elsewhere.comparison import first_samples
from edgecompress.validation.elsewhere.place import Answer
from edgecompress.validation.elsewhere.runtimes.qnn import find_place
from edgecompress.validation.elsewhere.segments import share_of_macs

NETWORKS = ("resnet20", "mobilenet_v1", "mobilenet_v2_kaiming")
OURS: Mapping[str, Any] = {"scheme": "qnnpack", "adaround": True, "bias_correction": True, "enclose": True}
HEAD = "| network | file | multiply-accumulates on the NPU | nodes | with the float model | with the CPU | points |"
Quantize = Callable[[Path, Path], None]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The images that all files of a network are run on: their labels where there are any, and the float outputs."""

    batches: Sequence[Inputs]
    labels: Sequence[Any]
    expected: Sequence[Array]

    @property
    def samples(self) -> int:
        """How many images there are."""
        return sum(len(array) for array in self.expected)

    def points(self, outputs: Sequence[Array]) -> Points | None:
        """By how many points outputs are better than the float model's; None without labels."""
        if not self.labels:
            return None
        labels = np.concatenate(self.labels)
        right, of_float = (np.concatenate(each).argmax(1) == labels for each in (outputs, self.expected))
        won = 100 * (right.astype(np.float64) - of_float)
        return Points(won=float(won.mean()), interval=bounds(draws(len(won)) @ won / len(won), len(won)))


@dataclass(frozen=True, kw_only=True)
class Points:
    """Points of accuracy against the float model on the same images, and between which values they lie at 95 %."""

    won: float
    interval: Interval

    def __str__(self) -> str:
        """As the table shows them.

        >>> print(Points(won=-0.5, interval=(-1.5, 0.5)))
        -0.5 (-1.5 to +0.5)
        """
        low, high = self.interval
        return f"{self.won:+.1f} ({low:+.1f} to {high:+.1f})"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One file on the NPU; ``failure`` says in one line why there is nothing to show."""

    file: str
    share: float | None = None
    nodes: tuple[int, int] = (0, 0)
    float_db: float = 0.0
    cpu_db: float | None = None
    points: Points | None = None
    failure: str | None = None

    def cells(self) -> list[str]:
        """As the table shows it."""
        if self.failure is not None:
            return [self.file, self.failure, "", "", "", ""]
        share = "none" if self.share is None else f"{100 * self.share:.1f} %"
        points = "" if self.points is None else str(self.points)
        ran, every = self.nodes
        cpu = "refused there" if self.cpu_db is None else f"{self.cpu_db:.1f} dB"
        return [self.file, share, f"{ran} of {every}", f"{self.float_db:.1f} dB", cpu, points]


def ours(*wide: str) -> Quantize:
    """As target ``snapdragon`` does it, with these nodes in uint16."""
    return lambda folder, output: TOOLS["edgecompress"](folder, output, {**OURS, "uint16_activations": wide})


def nncf(folder: Path, output: Path) -> None:
    """By NNCF's default."""
    TOOLS["nncf"](folder, output, {})


def runtime(activations: str) -> Quantize:
    """By ONNX Runtime's configuration for QNN, with activations of this type and INT8 weights by channel."""

    def quantize(folder: Path, output: Path) -> None:
        from onnxruntime.quantization import QuantType, quantize
        from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config, qnn_preprocess_model

        prepared, source = output.with_suffix(".prepared.onnx"), folder / "float.onnx"
        model = prepared if qnn_preprocess_model(source, prepared) else source
        kinds = {"activation_type": QuantType[activations], "weight_type": QuantType.QInt8}
        quantize(model, output, get_qnn_qdq_config(model, _Reader(folder), per_channel=True, **kinds))

    return quantize


class _Reader:
    """ONNX Runtime's interface to calibration data."""

    def __init__(self, folder: Path) -> None:
        self._batches = calibration_batches(folder)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


CANDIDATES: Mapping[str, Quantize] = {
    "edgecompress": ours(),
    "edgecompress, uint16": ours("*"),
    "NNCF": nncf,
    "ONNX Runtime, QNN": runtime("QUInt8"),
    "ONNX Runtime, QNN, uint16": runtime("QUInt16"),
}


def rows(name: str, count: int, chip: str, files: Sequence[str]) -> Iterator[Row]:
    """The files of a network by these tools, run on ``count`` images."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(subjects()[name], Path(folder))
        session = open_session(prepared.float_file, ALL_CORES)
        batches = first_samples(prepared.evaluation, count, whole=False)
        inputs = [batch.inputs for batch in batches]
        expected = [run_session(session, batch)[0] for batch in inputs]
        labels = [np.asarray(batch.labels) for batch in batches if batch.labels is not None]
        workload = Workload(batches=inputs, labels=labels, expected=expected)
        for number, file in enumerate(files):
            output = Path(folder, f"{number}.onnx")
            try:
                CANDIDATES[file](Path(folder), output)
                yield _row(file, output, workload, chip)
            except Exception as error:  # whatever a tool raises
                yield Row(file=file, failure=first_line(error))


def _row(file: str, output: Path, workload: Workload, chip: str) -> Row:
    answer = _run(output, workload.batches, chip)
    if answer.failure is not None:
        return Row(file=file, failure=answer.failure)
    outputs = [next(iter(batch.values())) for batch in answer.outputs]
    return Row(
        file=file,
        share=share_of_macs(answer.nodes, "NPU"),
        nodes=(sum(node.unit == "NPU" for node in answer.nodes), len(answer.nodes)),
        float_db=_sqnr(workload.expected, outputs),
        cpu_db=_on_the_cpu(output, workload, outputs),
        points=workload.points(outputs),
    )


def _on_the_cpu(output: Path, workload: Workload, outputs: Sequence[Array]) -> float | None:
    """Agreement with ONNX Runtime's CPU provider; None where that does not run the file."""
    try:
        session = open_session(output, ALL_CORES)
        return _sqnr([run_session(session, batch)[0] for batch in workload.batches], outputs)
    except Exception:  # whatever it raises of a file that another tool wrote
        return None


def _run(output: Path, batches: Sequence[Inputs], chip: str) -> Answer:
    with scratch_folder() as folder:
        model = Path(folder, "model.onnx")
        model.write_bytes(output.read_bytes())
        return find_place(chip).run(model, batches)


def _sqnr(expected: Sequence[Array], outputs: Sequence[Array]) -> float:
    return Agreement.between([np.concatenate(expected)], [np.concatenate(outputs)]).sqnr_db


def main() -> None:
    """Print the table, row by row."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*", default=NETWORKS, help="networks of the INT8 benchmark")
    options.add_argument("--samples", type=int, default=100, help="images of each network")
    options.add_argument("--files", nargs="+", metavar="NAME", default=list(CANDIDATES), choices=list(CANDIDATES))
    options.add_argument("--chip", default="sm8650", help="of the table in docs/other-cpus.md")
    asked = options.parse_args()
    print(HEAD, "| --- " * 7 + "|", sep="\n")
    for name in asked.names:
        for row in rows(name, asked.samples, asked.chip, asked.files):
            print(f"| {name} | {' | '.join(row.cells())} |", flush=True)


if __name__ == "__main__":
    main()
