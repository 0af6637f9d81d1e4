"""Results of steps that other runs on the same network and data keep: read instead of made, where all of it is alike.

A step is known by its name and those before it, and by the recipe without the table ``quantization``, which no step
before the integers reads. A network is kept as the file of a pruned network, and a graph as ONNX.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import onnx
import onnx_ir as ir
from torch import nn

from edgecompress.arrays import Inputs
from edgecompress.errors import EdgecompressError, ModelError
from edgecompress.pruning.reload.pruned_file import pruned_file
from edgecompress.pruning.reload.saving import read_pruned
from edgecompress.runtime import Network, execute, to_bytes
from edgecompress.step import Refusal, Step, StepResult
from edgecompress.techniques.context import Context
from edgecompress.techniques.kept import Kept, without_integers

RESULT, NETWORK, GRAPH = "result.json", "network", "graph"


def carried_out(
    step: Step, network: Network, before: Sequence[str], probe: Inputs, context: Context
) -> StepResult[Any]:
    """The result of a step: as another run kept it, or made now, and kept where that gives the same back.

    Args:
        step: what to do.
        network: what the step before made, or what the run began with.
        before: the names of the steps before.
        probe: inputs on which a network that was kept has to answer as it did.
        context: of the run.
    """
    kept = context.kept
    if kept is None or not step.shared:
        return step.run(network, context)
    key = kept.key("step", names=[*before, step.name], recipe=_recipe(step, context))
    found = _recalled(kept, key, context)
    if found is None:
        found = step.run(network, context)
        _keep(kept, key, found, probe, context)
    return found


def graph_of(name: str, make: Callable[[], ir.Model], context: Context) -> ir.Model:
    """A float graph that depends on the network and the table ``export`` alone: as it is kept, or made now and kept.

    Args:
        name: of the graph.
        make: makes it.
        context: of the run.
    """
    kept = context.kept
    if kept is None:
        return make()
    key = kept.key(name, export=without_integers(context.recipe).get("export"))
    content = kept.cache.read(key)
    with suppress(ValueError):  # it is no graph
        if content is not None:
            return _graph(content)
    made = make()
    kept.cache.write(key, to_bytes(made))
    return made


def _recipe(step: Step, context: Context) -> dict[str, Any]:
    """What the recipe says to a step; graphs take other forms where integers follow."""
    told = without_integers(context.recipe)
    return told if step.on_module else {**told, "integers": "quantization" in context.recipe.techniques}


def _recalled(kept: Kept, key: str, context: Context) -> StepResult[Any] | None:
    content = kept.cache.read(key)
    if content is None:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        told = json.loads(files[RESULT])
        model = _graph(files[GRAPH]) if GRAPH in files else _network(files[NETWORK], context)
        return StepResult(
            model=model,
            changes=tuple(told["changes"]),
            refusals=tuple(Refusal(**refusal) for refusal in told["refusals"]),
            warnings=tuple(told["warnings"]),
            metrics=told["metrics"],
        )
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, ModelError):
        kept.cache.drop(key)
        return None


def _keep(kept: Kept, key: str, result: StepResult[Any], probe: Inputs, context: Context) -> None:
    name, content = _content(result.model, probe, context)
    if content is None:
        return
    told = {
        "changes": result.changes,
        "refusals": [dataclasses.asdict(refusal) for refusal in result.refusals],
        "warnings": result.warnings,
        "metrics": dict(result.metrics),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(RESULT, json.dumps(told))
        archive.writestr(name, content)
    kept.cache.write(key, packed.getvalue())


def _content(model: Any, probe: Inputs, context: Context) -> tuple[str, bytes | None]:
    """The file of what a step made; None of what no file holds so that it comes back alike."""
    if isinstance(model, ir.Model):
        return GRAPH, to_bytes(model)
    if not isinstance(model, nn.Module):
        return NETWORK, None
    try:
        content = pruned_file(model)
        again = _network(content, context)
        alike = pruned_file(again) == content and _answers(again, probe) == _answers(model, probe)
    except EdgecompressError:
        return NETWORK, None
    return NETWORK, content if alike else None


def _answers(network: nn.Module, probe: Inputs) -> list[bytes]:
    return [output.tobytes() for output in execute(network, probe)]


def _network(content: bytes, context: Context) -> nn.Module:
    """A network from its file, in the class of the one that the run began with."""
    assert isinstance(context.original, nn.Module)
    return read_pruned(context.original, "the cache", io.BytesIO(content))


def _graph(content: bytes) -> ir.Model:
    """A graph from its file.

    Raises:
        ValueError: it is none.
    """
    try:
        return ir.from_proto(onnx.load_from_string(content))
    except Exception as error:  # protobuf's
        raise ValueError from error
