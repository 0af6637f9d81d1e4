"""Channels that are shuffled, split or dealt out by Reshape and Transpose become one Gather, or one Slice.

ShuffleNet's shuffle is written as three operators, and one half of it by two more; each is a pass over all values. What
they do to channels is read off: they are run on numbers that say where each value came from.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.arrays import Array
from edgecompress.exporters.graph import constant, initializer, node, source_of
from edgecompress.runtime import execute
from edgecompress.step import StepResult

MOVES = ("Gather", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")
LEAST_MOVES = 2
BATCHES = (2, 3)
"""Samples that moves of any number of them are tried on."""
LARGEST = 2**24
"""Values beyond which nothing is run to see where they go."""


def gather_channels(model: ir.Model) -> StepResult[ir.Model]:
    """Let each value that is moved in steps, and differs from where it came from by its channels only, be read at once.

    The same values are moved to the same places, bit for bit. A value stays where the sizes of its channels and of what
    follows are not known, or where the moves are computed.
    """
    gathered = model.clone()
    changes: list[str] = []
    for value in [output for each in gathered.graph for output in each.outputs]:
        chain = _moves(value)
        channels = _channels(value, chain) if len(chain) >= LEAST_MOVES else None
        if channels is not None:
            became = _replace(gathered.graph, chain, value, channels)
            changes.append(f"{chain[-1].name}: {len(chain)} moves of channels became {became}")
    passes.RemoveUnusedNodesPass()(gathered)
    return StepResult(model=gathered, changes=tuple(changes))


def _moves(value: ir.Value) -> list[ir.Node]:
    """The moves that end at a value, first to last; none where another move reads it, or a caller of the model."""
    if value.is_graph_output() or all(user.op_type in MOVES for user, _ in value.uses()):
        return []
    chain: list[ir.Node] = []
    while (mover := value.producer()) is not None and mover.op_type in MOVES and mover.domain in ("", "ai.onnx"):
        if mover.inputs[0] is None or any(each is not None and constant(each) is None for each in mover.inputs[1:]):
            break
        if _chooses_samples(mover):
            return []
        chain.insert(0, mover)
        value = mover.inputs[0]
    return chain


def _chooses_samples(mover: ir.Node) -> bool:
    """Whether a move may leave samples out: what it does to a few tells nothing of what it does to more."""
    shape = source_of(mover).shape
    if mover.op_type in ("Gather", "Split"):
        axes = [mover.attributes.get_int("axis", 0)]
    elif mover.op_type == "Slice":
        held = constant(mover.inputs[3]) if len(mover.inputs) > 3 else None
        axes = [0] if held is None else [int(axis) for axis in held.reshape(-1)]
    else:
        return False
    return shape is None or any(axis % len(shape) == 0 for axis in axes)


def _channels(value: ir.Value, chain: list[ir.Node]) -> list[int] | None:
    """The channels of the source that moves leave to a value, in its order; None where it is not whole channels."""
    source = source_of(chain[0])
    before, after = ([*each.shape] if each.shape is not None else [] for each in (source, value))
    sizes = [size for size in before[1:] if isinstance(size, int)]
    batches = [before[0]] if before and isinstance(before[0], int) else BATCHES
    if len(before) < 3 or len(before) != len(after) or after[2:] != before[2:]:
        return None
    if len(sizes) != len(before) - 1 or max(batches) * np.prod(sizes) > LARGEST:
        return None
    found = [_moved(value, chain, np.arange(batch * np.prod(sizes)).reshape(batch, *sizes)) for batch in batches]
    return found[0] if all(channels == found[0] for channels in found) else None


def _moved(value: ir.Value, chain: list[ir.Node], origin: Array) -> list[int] | None:
    """The channels of ``origin`` that moves leave to a value; None where they do not run, or move within channels."""
    try:
        moved = _run(chain, source_of(chain[0]), value, origin)
    except Exception:  # ONNX Runtime's own; a batch of another size is written into the moves
        return None
    if moved.size == 0 or moved.shape[0] != origin.shape[0] or moved.shape[2:] != origin.shape[2:]:
        return None
    channels = moved[0].reshape(len(moved[0]), -1)[:, 0] // int(np.prod(origin.shape[2:]))
    is_whole = np.array_equal(moved, origin[:, channels % origin.shape[1]])
    return [int(channel) for channel in channels] if is_whole else None


def _run(chain: list[ir.Node], source: ir.Value, value: ir.Value, origin: Array) -> Array:
    """What a value would hold if its source held ``origin``, int64."""
    graph = source.graph
    assert graph is not None
    copies: dict[ir.Value, ir.Value] = {source: ir.val("origin", dtype=ir.DataType.INT64, shape=origin.shape)}
    nodes, held = [], {}
    for each in chain:
        for fixed in each.inputs[1:]:
            if fixed is not None and fixed not in copies:
                tensor = ir.convenience.get_const_tensor(fixed)
                copies[fixed] = held[fixed] = ir.val(str(fixed.name), const_value=tensor)
        inputs = [None if each_ is None else copies[each_] for each_ in each.inputs]
        twin = ir.node(each.op_type, inputs, each.attributes, num_outputs=len(each.outputs))
        for output, copied in zip(each.outputs, twin.outputs, strict=True):
            copied.name = output.name
            copies[output] = copied
        nodes.append(twin)
    copies[value].dtype = ir.DataType.INT64
    moving = ir.Graph(
        [copies[source]],
        [copies[value]],
        nodes=nodes,
        initializers=list(held.values()),
        opset_imports=graph.opset_imports,
        name="moves",
    )
    (moved,) = execute(ir.Model(moving, ir_version=10), {"origin": origin})
    return moved


def _replace(graph: ir.Graph, chain: list[ir.Node], value: ir.Value, channels: list[int]) -> str:
    """Let those who read a value read these channels of the source of its moves; by what, in words."""
    source = source_of(chain[0])
    name = str(chain[-1].name if len(chain[-1].outputs) == 1 else value.name)
    first, end = channels[0], channels[0] + len(channels)
    if source.shape is not None and channels == [*range(len(channels))] and source.shape[1] == len(channels):
        value.replace_all_uses_with(source)
        return "none"
    if channels == list(range(first, end)):
        ends = ((f"{name}/first", first), (f"{name}/end", end), (f"{name}/axis", 1))
        bounds = [initializer(graph, bound, np.array([at], np.int64)) for bound, at in ends]
        made = node("Slice", [source, *bounds], f"{value.name}/moved", name)
    else:
        chosen = initializer(graph, f"{name}/channels", np.array(channels, np.int32))
        made = node("Gather", [source, chosen], f"{value.name}/moved", name, axis=1)
    made.outputs[0].shape, made.outputs[0].type = value.shape, value.type
    graph.insert_after(chain[-1], made)
    value.replace_all_uses_with(made.outputs[0])
    made.outputs[0].name, value.name = value.name, made.outputs[0].name
    return f"one {made.op_type}"
