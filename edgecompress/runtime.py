"""Running a network, whatever its form: the one place where PyTorch and ONNX Runtime are called."""

from __future__ import annotations

import functools
import os
import warnings
from functools import partial, singledispatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from torch import nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from edgecompress.arithmetic import EXACT_OPTION, FLOAT_PRODUCTS, PRODUCTS, SHARED, Arithmetic, unshared
from edgecompress.arrays import Array, Axes, Inputs, TensorSpec, fixed_rows
from edgecompress.errors import EdgecompressError, a_kind, first_line
from edgecompress.system.cores import threads_of_all

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

Network = nn.Module | ExportedProgram | ir.Model

# Without it, Microsoft's builds of ONNX Runtime write $TMPDIR/.ses; child processes, onnxsim's too, inherit it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

ALL_CORES = 0
"""Number of threads that stands for all cores of this process; a kernel's sums do not depend on their number."""


def open_session(
    model: ir.Model | bytes | Path,
    threads: int,
    optimized: str | None = None,
    *,
    profile: str | None = None,
    background: bool = False,
    arithmetic: Arithmetic = "exact",
) -> InferenceSession:
    """An ONNX Runtime session on the CPU provider.

    Args:
        model: the network, the bytes of its file, or its file.
        threads: intra-op threads; ``ALL_CORES`` for as many as this process has cores.
        optimized: where to write the graph as ONNX Runtime's optimizer leaves it, before the layout
            transformations that depend on the CPU.
        profile: beginning of the name of the file that ``end_profiling`` writes; without it nothing is profiled.
        background: for long work on a machine that others use: idle threads sleep, memory is given back after each run.
        arithmetic: of products with 8-bit weights: ``exact`` where outputs count, ``native`` where time does.

    Raises:
        EdgecompressError: ONNX Runtime refuses the model.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads_of_all() if threads == ALL_CORES else threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, profile
    if background:
        options.enable_mem_pattern = options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if optimized is not None:
        options.optimized_model_filepath = optimized
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.add_session_config_entry(EXACT_OPTION, str(int(arithmetic == "exact")))
    if arithmetic == "exact":
        options.add_session_config_entry(*FLOAT_PRODUCTS)
    source = to_bytes(model) if isinstance(model, ir.Model) else model
    try:
        return _opened(source, options)
    except Exception as error:
        raise EdgecompressError(f"ONNX Runtime refuses the model: {first_line(error)}") from error


def _opened(source: bytes | Path, options: SessionOptions) -> InferenceSession:
    """A session; where an exact one is refused since layers share integers, one of a copy in which none do."""
    import onnxruntime as ort

    opened = partial(ort.InferenceSession, sess_options=options, providers=["CPUExecutionProvider"])
    try:
        return opened(source)
    except Exception as error:
        if SHARED not in str(error):
            raise
        return opened(to_bytes(unshared(_parse(source))))


def run_session(session: InferenceSession, inputs: Inputs) -> list[Array]:
    """Outputs in the order of the graph; inputs that the graph does not take are left out."""
    taken = {spec.name for spec in session.get_inputs()}
    outputs: list[Array] = session.run(None, {name: value for name, value in inputs.items() if name in taken})
    return outputs


def _parse(file: bytes | Path) -> ir.Model:
    """A model with all of its weights in memory."""
    return ir.from_proto(onnx.load(file) if isinstance(file, Path) else onnx.load_from_string(file))


@functools.cache
def saturates() -> bool:
    """Whether this CPU cuts sums of 8-bit products off at 16 bits, as x86 without VNNI does."""
    session = open_session(onnx.parser.parse_model(PRODUCTS).SerializeToString(), 1, arithmetic="native")
    (sums,) = run_session(session, {"x": np.full((1, 4), 255, np.uint8), "w": np.full((4, 16), 127, np.int8)})
    return bool((sums != 4 * 255 * 127).any())


def in_words(arithmetic: Arithmetic) -> str:
    """What sums of 8-bit products were on this machine: ``exact`` or ``saturating``."""
    return "saturating" if arithmetic == "native" and saturates() else "exact"


def to_bytes(model: ir.Model) -> bytes:
    """The bytes of the ONNX file; equal networks give equal bytes."""
    data: bytes = ir.to_proto(model).SerializeToString(deterministic=True)
    return data


def signature(model: ir.Model) -> tuple[TensorSpec, ...]:
    """Name, dtype and shape of each input of an ONNX graph."""
    return tuple(_spec(value) for value in model.graph.inputs)


def output_names(network: nn.Module | ExportedProgram | ir.Model) -> tuple[str, ...]:
    """The names of an ONNX graph's outputs; none of a network that has no names for them."""
    return tuple(str(value.name) for value in network.graph.outputs) if isinstance(network, ir.Model) else ()


def declared_shapes(network: nn.Module | ExportedProgram | ir.Model) -> dict[str, tuple[int | str, ...]]:
    """The shape that a network declares for each input, dynamic dimensions as texts; a module declares nothing."""
    if isinstance(network, ir.Model):
        return {spec.name: spec.shape for spec in signature(network)}
    if not isinstance(network, ExportedProgram):
        return {}
    values = {node.name: node.meta.get("val") for node in network.graph.nodes if node.op == "placeholder"}
    given = {str(name): values[str(name)] for name in network.graph_signature.user_inputs}
    return {
        name: tuple(size if isinstance(size, int) else str(size) for size in value.shape)
        for name, value in given.items()
        if isinstance(value, torch.Tensor)
    }


def network_rows(network: nn.Module | ExportedProgram | ir.Model, axes: Axes) -> int | None:
    """The number of samples that a network takes in every run; None where the batch is dynamic, or nothing is said."""
    return fixed_rows(declared_shapes(network), axes)


def session_rows(session: InferenceSession, axes: Axes) -> int | None:
    """The same of a session."""
    return fixed_rows({spec.name: spec.shape for spec in session.get_inputs()}, axes)


def _spec(value: ir.Value) -> TensorSpec:
    if value.shape is None or value.dtype is None:
        raise EdgecompressError(f"input {value.name!r} of the ONNX graph has no shape or dtype")
    dimensions = tuple(d if isinstance(d, int) else str(d.value) for d in value.shape)
    return TensorSpec(name=str(value.name), dtype=np.dtype(value.dtype.numpy()), shape=dimensions)


@singledispatch
def execute(network: Any, inputs: Inputs) -> list[Array]:  # noqa: ARG001 - the registered forms read them
    """The output tensors of a module, an exported program or an ONNX model, flattened in order."""
    raise TypeError(f"{a_kind(network)} is no network")


@execute.register
def _(network: nn.Module, inputs: Inputs) -> list[Array]:
    with torch.no_grad():
        return flatten(network(**tensors(inputs)))


@execute.register
def _(network: ExportedProgram, inputs: Inputs) -> list[Array]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = network.module()
    # A program is called as it was captured: by position, by keyword, or with nested inputs.
    given = tensors(inputs)
    leaves = [given[str(name)] for name in network.graph_signature.user_inputs]
    assert network.call_spec.in_spec is not None
    args, kwargs = pytree.tree_unflatten(leaves, network.call_spec.in_spec)
    with torch.no_grad():
        return flatten(module(*args, **kwargs))


@execute.register
def _(network: ir.Model, inputs: Inputs) -> list[Array]:
    return run_session(open_session(network, ALL_CORES), inputs)


def tensors(inputs: Inputs) -> dict[str, torch.Tensor]:
    """The same values as tensors."""
    return {name: torch.from_numpy(np.require(value, requirements="C")) for name, value in inputs.items()}


def flatten(outputs: Any) -> list[Array]:
    """The tensors among nested outputs, in the order in which ``torch.export`` lists them."""
    leaves = pytree.tree_leaves(outputs)
    return [leaf.detach().cpu().numpy() for leaf in leaves if isinstance(leaf, torch.Tensor)]
