"""What goes to a phone: ``model.ort``, the operators that it needs, and what accelerators could take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgecompress.arrays import Inputs
from edgecompress.errors import first_line
from edgecompress.exporters.mobile_tools import count_accelerated, required_operators
from edgecompress.exporters.ort_format import ORT_ARTIFACT, check_same_bits, to_ort
from edgecompress.system.scratch import scratch_folder

OPERATORS = "required_operators.config"


@dataclass(frozen=True, kw_only=True)
class Mobile:
    """The files by name, and what ONNX Runtime's usability checker counted for each accelerator.

    ``failure`` says in one line why ONNX Runtime's mobile tools gave no operators, or no counts.
    """

    files: Mapping[str, bytes]
    accelerators: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None

    @property
    def entry(self) -> dict[str, Any]:
        """The same without the files as plain data, for JSON."""
        return {"accelerators": dict(self.accelerators), "failure": self.failure}


def make_mobile(artifact: bytes, inputs: Inputs) -> Mobile:
    """Convert an artifact for ONNX Runtime's small builds, and ask ONNX Runtime's mobile tools about it.

    Args:
        artifact: bytes of the ONNX file.
        inputs: on which both formats must answer the same.

    Raises:
        EdgecompressError: ONNX Runtime cannot write the artifact in ORT format.
        ParityError: ``model.ort`` gives other outputs than the artifact.
    """
    converted = to_ort(artifact)
    check_same_bits(artifact, converted, inputs)
    files, accelerators = {ORT_ARTIFACT: converted}, dict[str, Any]()
    with scratch_folder() as folder:
        (folder / "model.onnx").write_bytes(artifact)
        (folder / ORT_ARTIFACT).write_bytes(converted)
        try:
            files[OPERATORS] = required_operators(folder / ORT_ARTIFACT)
            accelerators = count_accelerated(folder / "model.onnx", folder / "optimized.onnx")
        except Exception as error:  # scripts that no release of ONNX Runtime promises to keep working
            return Mobile(files=files, failure=f"{type(error).__name__}: {first_line(error)}")
    return Mobile(files=files, accelerators=accelerators)
