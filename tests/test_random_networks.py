"""Random networks on the whole road: what comes out agrees with PyTorch, or the run ends in one of our errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import torch
from hypothesis import HealthCheck, event, given, settings
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from edgecompress.arithmetic import EXACT_OPTION
from edgecompress.data.splits import Streams
from edgecompress.errors import EdgecompressError
from edgecompress.loading.sources import open_batches
from edgecompress.pipeline.fold import PROBE_ROWS, convert
from edgecompress.pipeline.prepare import sample_rows
from edgecompress.quantization.dynamic import quantize_dynamic
from edgecompress.runtime import to_bytes
from edgecompress.step import Conversion
from edgecompress.techniques.context import Context
from tests.drawn_networks import Case, cases

Array = NDArray[Any]
FLOAT_DB = 50.0
"""On inputs that no step has seen; the steps themselves hold 60 dB."""
NETWORKS = 2000 if settings.get_current_profile_name() == "fuzz" else 5


def _sqnr_db(reference: list[Array], actual: list[Array]) -> float:
    """Of the worst output, between -200 and 200; all of them are finite, and alike in form."""
    worst = 200.0
    for wanted, got in zip(reference, actual, strict=True):
        assert (wanted.shape, wanted.dtype) == (got.shape, got.dtype)
        assert np.isfinite(got).all()
        signal, noise = (float(np.square(x.astype(np.float64)).sum()) for x in (wanted, wanted - got))
        if noise:
            worst = min(worst, max(10 * np.log10(signal / noise), -200.0) if signal else -200.0)
    return worst


def _in_torch(network: nn.Module, batch: dict[str, Tensor]) -> list[Array]:
    with torch.no_grad():
        return [leaf.numpy() for leaf in pytree.tree_leaves(network(**batch))]


def _in_runtime(content: bytes, batch: dict[str, Tensor], *, plain: bool = False) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    options.add_session_config_entry(EXACT_OPTION, "1")
    if plain:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    outputs: list[Array] = session.run(None, {spec.name: batch[spec.name].numpy() for spec in session.get_inputs()})
    return outputs


def run_case(case: Case) -> str:
    """What became of a network: the name of the error, or of the form in which it agreed."""
    rows = case.recipe.export.batch_size or 8
    data = [case.batch(rows, number) for number in range(2)]
    batches = open_batches(data, "calibration", case.network, case.recipe)
    streams = Streams(calibration=batches)
    try:
        conversion = convert(case.network, Context(recipe=case.recipe, example=batches.first(), streams=streams))
    except EdgecompressError as error:
        return type(error).__name__ + ": " + str(error)
    return _judge(case, conversion, data[0])


def _judge(case: Case, conversion: Conversion, first: dict[str, Tensor]) -> str:
    rows = sample_rows(case.network, case.recipe)
    probe = {name: value[torch.arange(rows or PROBE_ROWS) % len(value)] for name, value in first.items()}
    fresh = case.batch(rows or 5, 99)
    changed = [step.result.model for step in conversion.done if isinstance(step.result.model, nn.Module)]
    network = changed[-1] if changed else case.network
    # The float road, whatever comes after it.
    original = to_bytes(conversion.original)
    assert _sqnr_db(_in_torch(case.network, fresh), _in_runtime(original, fresh)) >= FLOAT_DB
    final = next(step.result.model for step in conversion.done if step.name == "canonicalize")
    assert _sqnr_db(_in_torch(network, fresh), _in_runtime(to_bytes(final), fresh)) >= FLOAT_DB
    ending = "float"
    if case.recipe.quantization.enabled:
        artifact = to_bytes(conversion.artifact)
        claimed = conversion.done[-1].agreement.sqnr_db
        found = _sqnr_db(_in_torch(network, probe), _in_runtime(artifact, probe))
        assert abs(found - claimed) < 0.1, (found, claimed)
        plain = _sqnr_db(_in_torch(network, probe), _in_runtime(artifact, probe, plain=True))
        assert plain > found - 6, (found, plain)
        _sqnr_db(_in_torch(network, fresh), _in_runtime(artifact, fresh))
        ending = "static"
    if case.dynamic:
        dynamic = to_bytes(quantize_dynamic(final).model)
        _sqnr_db(_in_torch(network, fresh), _in_runtime(dynamic, fresh))
        ending += "+dynamic"
    return ending


@settings(max_examples=NETWORKS, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_what_comes_out_agrees_or_is_refused(case: Case) -> None:
    event(run_case(case).partition(":")[0])
