"""Products that are summed: matrix products, linear layers, attention, embeddings, convolutions.

Each is written as the elementwise product that it is, over an index for every axis, followed by a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from edgecompress.pruning.structure.channel_classes import Classes
from edgecompress.pruning.structure.channel_labels import (
    Labelled,
    add_up,
    combine,
    drop_axes,
    labelled,
    reshape,
    touch_all,
)
from edgecompress.pruning.structure.rules.call import Call, Rule
from edgecompress.pruning.structure.rules.elementwise import MEETS_CONSTANTS, along

READS_CONSTANTS = "reads an input that cannot be removed"
FIXED_GROUPS = "would change the number of groups of a convolution"


def product(classes: Classes, left: Labelled, right: Labelled) -> Labelled:
    """``left @ right`` with PyTorch's rules for vectors and batches: (..., n, k) @ (..., k, m)."""
    left = reshape(left, (1, *left.shape)) if len(left.shape) == 1 else left
    right = reshape(right, (*right.shape, 1)) if len(right.shape) == 1 else right
    rows = _map(left, (*left.shape[:-1], 1, left.shape[-1]), lambda slot: slot.unsqueeze(-2))
    across = (*right.shape[:-2], right.shape[-1], right.shape[-2])
    columns = _map(right, (*across[:-2], 1, *across[-2:]), lambda slot: slot.transpose(-1, -2).unsqueeze(-3))
    shape = _broadcast(rows.shape, columns.shape)
    return add_up(classes, combine(classes, [rows, columns], shape, READS_CONSTANTS), {len(shape) - 1})


def matmul(classes: Classes, call: Call) -> Labelled:
    """A product of two matrices, vectors, or batches of them."""
    left, right = call.tensors[-2:]
    return labelled(classes, call.shape, reshape(product(classes, left, right), call.shape).slots)


def add_matmul(classes: Classes, call: Call) -> Labelled:
    """A matrix product and a sum."""
    return combine(classes, [call["self"], matmul(classes, call)], call.shape, MEETS_CONSTANTS)


def linear(classes: Classes, call: Call) -> Labelled:
    """``input @ weight.T + bias``."""
    weight: Labelled = call["weight"]
    turned = _map(weight, weight.shape[::-1], Tensor.t)
    result = product(classes, call["input"], turned)
    return _with_bias(classes, call, reshape(result, call.shape), len(call.shape) - 1)


def einsum(classes: Classes, call: Call) -> Labelled:
    """A product over named axes, summed over those that the result does not name."""
    operands, (inputs, output) = call.tensors, _terms(call["equation"])
    if any(len(set(term)) < len(term) or "." in term for term in inputs):
        for slot in (slot for operand in operands for slot in operand.slots):
            classes.freeze(slot, "is read by an einsum with an ellipsis or a diagonal")
        return Labelled(call.shape)
    sizes = dict(zip("".join(inputs), (size for operand in operands for size in operand.shape), strict=True))
    axes = output + "".join(sorted(set(sizes) - set(output)))
    aligned = [_align(operand, term, axes) for operand, term in zip(operands, inputs, strict=True)]
    joined = combine(classes, aligned, [sizes[axis] for axis in axes], READS_CONSTANTS)
    return add_up(classes, joined, set(range(len(output), len(axes))))


def _terms(equation: str) -> tuple[list[str], str]:
    left, arrow, output = equation.replace(" ", "").partition("->")
    if not arrow:
        output = "".join(sorted(axis for axis in set(left) - {","} if left.count(axis) == 1))
    return left.split(","), output


def _align(operand: Labelled, term: str, axes: str) -> Labelled:
    """The operand with an axis for each name, of length one where it has none."""
    order = [term.index(axis) for axis in axes if axis in term]
    shape = [operand.shape[term.index(axis)] if axis in term else 1 for axis in axes]
    return _map(operand, shape, lambda slot: slot.permute(order).reshape(shape))


def embedding(classes: Classes, call: Call) -> Labelled:
    """Rows of a table, picked by the input: the rows stay, their elements are channels."""
    table = touch_all(classes, call["weight"], {0}, "is a row of an embedding")
    rows = drop_axes(classes, table, {0})
    return labelled(classes, call.shape, (slot.expand(*call.shape) for slot in rows.slots))


def attention(classes: Classes, call: Call) -> Labelled:
    """Scaled dot-product attention: softmax(query @ key.T + mask) @ value; heads are removed whole."""
    query, key, value = (call[name] for name in ("query", "key", "value"))
    if call["scale"] is None:  # then it comes from the width of a head
        query = touch_all(classes, query, {len(query.shape) - 1}, "decides the scale of the attention")
    if call["enable_gqa"]:
        key, value = (_repeat_heads(tensor, query.shape[-3]) for tensor in (key, value))
    turned = _map(key, (*key.shape[:-2], key.shape[-1], key.shape[-2]), lambda slot: slot.transpose(-1, -2))
    scores = product(classes, query, turned)
    if isinstance(call["attn_mask"], Labelled):
        scores = combine(classes, [scores, call["attn_mask"]], scores.shape, MEETS_CONSTANTS)
    scores = touch_all(classes, scores, {len(scores.shape) - 1}, "is mixed by softmax")
    return product(classes, scores, value)


def convolution(classes: Classes, call: Call) -> Labelled:
    """A convolution, grouped or not: its channels are those of a product, at every place of the kernel."""
    weight = _without_kernel(classes, call["weight"])
    return _convolve(classes, call, weight)


def transposed_convolution(classes: Classes, call: Call) -> Labelled:
    """A transposed convolution, whose weight is (inputs, outputs / groups, *kernel)."""
    weight, groups = _without_kernel(classes, call["weight"]), call["groups"]
    inputs, outputs = weight.shape[0] // groups, weight.shape[1]
    turned = _map(
        weight,
        (groups * outputs, inputs),
        lambda slot: slot.reshape(groups, inputs, outputs).transpose(1, 2).reshape(groups * outputs, inputs),
    )
    return _convolve(classes, call, turned)


def _convolve(classes: Classes, call: Call, weight: Labelled) -> Labelled:
    source: Labelled = call["input"]
    spatial = set(range(len(source.shape) - len(call["stride"]), len(source.shape)))
    source = drop_axes(classes, touch_all(classes, source, spatial, "lies along a spatial axis"), spatial)
    groups, (outputs, inputs) = call["groups"], weight.shape
    split = reshape(source, (*source.shape[:-1], groups, inputs))
    kernel = reshape(weight, (groups, outputs // groups, inputs))
    if groups > 1 and inputs > 1:  # every group keeps the same places, so that the groups stay equal and as many
        axis = len(split.shape) - 2
        split = touch_all(classes, split, {axis}, FIXED_GROUPS)
        kernel = touch_all(classes, kernel, {0}, FIXED_GROUPS)
    rows = _map(split, (*split.shape[:-1], 1, inputs), lambda slot: slot.unsqueeze(-2))
    shape = _broadcast(rows.shape, kernel.shape)
    result = add_up(classes, combine(classes, [rows, kernel], shape, READS_CONSTANTS), {len(shape) - 1})
    flat = reshape(result, (*source.shape[:-1], outputs))
    slots = (slot.reshape(*slot.shape, *[1] * len(spatial)).expand(*call.shape) for slot in flat.slots)
    return _with_bias(classes, call, Labelled(call.shape, tuple(slots)), min(spatial) - 1)


def _without_kernel(classes: Classes, weight: Labelled) -> Labelled:
    kernel = set(range(2, len(weight.shape)))
    return drop_axes(classes, touch_all(classes, weight, kernel, "lies along a kernel's axis"), kernel)


def _with_bias(classes: Classes, call: Call, result: Labelled, axis: int) -> Labelled:
    if not isinstance(call["bias"], Labelled):
        return labelled(classes, call.shape, result.slots)
    bias = along(call["bias"], axis, len(call.shape))
    return combine(classes, [result, bias], call.shape, MEETS_CONSTANTS)


def _repeat_heads(operand: Labelled, heads: int) -> Labelled:
    shape = (*operand.shape[:-3], heads, *operand.shape[-2:])
    times = heads // operand.shape[-3]
    return _map(operand, shape, lambda slot: slot.repeat_interleave(times, -3))


def _map(operand: Labelled, shape: Sequence[int], change: Callable[[Tensor], Tensor]) -> Labelled:
    return Labelled(tuple(shape), tuple(change(slot) for slot in operand.slots))


def _broadcast(left: Sequence[int], right: Sequence[int]) -> tuple[int, ...]:
    return tuple(torch.broadcast_shapes(left, right))  # type: ignore[no-untyped-call]


RULES: dict[str, Rule] = {
    **dict.fromkeys(("bmm", "dot", "matmul", "mm", "mv"), matmul),
    **dict.fromkeys(("addbmm", "addmm", "baddbmm"), add_matmul),
    "linear": linear,
    "einsum": einsum,
    "embedding": embedding,
    "scaled_dot_product_attention": attention,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), transposed_convolution),
}
