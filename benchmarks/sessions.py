"""Files of ONNX Runtime's and of OpenVINO's, opened so that both are called alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgecompress.arrays import Array
from edgecompress.runtime import ALL_CORES, open_session


class Input(NamedTuple):
    """What ``run_session`` asks of an input."""

    name: str


class OpenVinoSession:
    """A network in OpenVINO, as it is by default on a CPU, behind the methods of an InferenceSession that are used.

    Args:
        file: its ``.xml``.
        threads: those of one call; ``ALL_CORES`` for all.
    """

    def __init__(self, file: Path, threads: int) -> None:
        import openvino

        count = {} if threads == ALL_CORES else {"INFERENCE_NUM_THREADS": threads}
        self._compiled = openvino.Core().compile_model(file, "CPU", {"PERFORMANCE_HINT": "LATENCY", **count})
        self._request = self._compiled.create_infer_request()

    def get_inputs(self) -> list[Input]:
        """The inputs, with their names."""
        return [Input(port.any_name) for port in self._compiled.inputs]

    def run(self, _: Sequence[str] | None, inputs: Mapping[str, Array]) -> list[Array]:
        """All outputs."""
        results = self._request.infer(dict(inputs), share_inputs=True)
        return [results[port].copy() for port in self._compiled.outputs]


def open_file(file: Path, threads: int, **options: Any) -> Any:
    """A session for a file: OpenVINO's for ``.xml``, else ONNX Runtime's with these options."""
    return OpenVinoSession(file, threads) if file.suffix == ".xml" else open_session(file, threads, **options)


def size_of(file: Path) -> int:
    """Bytes of a file, with those of the weights that OpenVINO keeps in another."""
    weights = file.with_suffix(".bin")
    return file.stat().st_size + (weights.stat().st_size if file.suffix == ".xml" else 0)
