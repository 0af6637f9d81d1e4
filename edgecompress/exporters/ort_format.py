"""``model.ort``: the artifact in the format of ONNX Runtime's small builds for devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgecompress.arrays import Array, Inputs
from edgecompress.errors import EdgecompressError, ParityError, first_line
from edgecompress.exporters.kernel_types import sort_kernel_types
from edgecompress.runtime import run_session
from edgecompress.system.scratch import scratch_folder

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

ORT_ARTIFACT = "model.ort"
X86_ALONE = ("NchwcTransformer",)
"""ONNX Runtime's optimizers whose layouts depend on the width of an x86 CPU's registers."""


def to_ort(artifact: bytes) -> bytes:
    """The bytes of ``model.ort``; equal artifacts give equal bytes.

    As ``onnxruntime.tools.convert_onnx_models_to_ort`` makes it in its style "Fixed": every optimization is done now,
    including the integer kernels, without the layouts that only x86 has. Such a file is not optimized again when it is
    loaded, and runs on Arm and x86, in full and in minimal builds.

    Raises:
        EdgecompressError: ONNX Runtime cannot write the model in this format.
    """
    import onnxruntime as ort

    with scratch_folder() as folder:
        path = folder / ORT_ARTIFACT
        options = _options()
        options.optimized_model_filepath = str(path)
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.save_model_format", "ORT")
        # Integers stay as the artifact has them, whatever the CPU of this machine is good at.
        options.add_session_config_entry("session.qdqisint8allowed", "0")
        try:
            _open(artifact, options)
            return sort_kernel_types(path.read_bytes())
        except Exception as error:
            raise EdgecompressError(f"the artifact cannot be written in ORT format: {first_line(error)}") from error


def run_portable(content: bytes | Path, inputs: Inputs) -> list[Array]:
    """Outputs of a file in either format, with no layout that only x86 has, at one thread."""
    return run_session(_open(content, _options()), inputs)


def same_bits(first: list[Array], second: list[Array]) -> bool:
    """Whether two lists of outputs are equal in every bit."""
    return [(array.dtype, array.shape, array.tobytes()) for array in first] == [
        (array.dtype, array.shape, array.tobytes()) for array in second
    ]


def check_same_bits(artifact: bytes | Path, converted: bytes | Path, inputs: Inputs) -> None:
    """Check that ``model.ort`` gives the outputs of ``model.onnx``, bit for bit.

    Float convolutions are computed in another order where x86 has a layout of its own for them, which ``model.ort``
    must not have; both run without it here.

    Raises:
        ParityError: an output differs.
    """
    if not same_bits(run_portable(artifact, inputs), run_portable(converted, inputs)):
        raise ParityError(f"{ORT_ARTIFACT} answers differently from model.onnx; leave 'ort' out of export.formats")


def _options() -> SessionOptions:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
    options.log_severity_level = 4
    return options


def _open(content: bytes | Path, options: SessionOptions) -> InferenceSession:
    import onnxruntime as ort

    return ort.InferenceSession(
        content, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(X86_ALONE)
    )
