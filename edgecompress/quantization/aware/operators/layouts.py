"""Operators that move values, or choose among them, and those that compute where to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor
from torch.nn import functional

from edgecompress.quantization.aware.operators.elementwise import torch_dtype

Function = Callable[..., Any]


def _numbers(given: Tensor | Sequence[int]) -> list[int]:
    """Whole numbers, of an attribute or of a tensor of any shape."""
    return [int(value) for value in (given.reshape(-1).tolist() if isinstance(given, Tensor) else given)]


def _axes(node: ir.Node, name: str = "axes") -> list[int] | None:
    return list(node.attributes[name].as_ints()) if name in node.attributes else None


def _reshape(node: ir.Node) -> Function:
    keeps_zeros = bool(node.attributes.get_int("allowzero", 0))

    def run(x: Tensor, shape: Tensor) -> Tensor:
        sizes = _numbers(shape)
        return x.reshape([x.shape[i] if size == 0 and not keeps_zeros else size for i, size in enumerate(sizes)])

    return run


def _flatten(node: ir.Node) -> Function:
    axis = node.attributes.get_int("axis", 1)

    def run(x: Tensor) -> Tensor:
        split = axis if axis >= 0 else x.ndim + axis
        return x.reshape(int(torch.tensor(x.shape[:split]).prod()), -1)

    return run


def _transpose(node: ir.Node) -> Function:
    order = _axes(node, "perm")
    return lambda x: x.permute(order if order is not None else list(range(x.ndim))[::-1])


def _squeeze(node: ir.Node) -> Function:
    fixed = _axes(node)

    def run(x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = fixed if axes is None else _numbers(axes)
        return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))

    return run


def _unsqueeze(node: ir.Node) -> Function:
    fixed = _axes(node)

    def run(x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = _numbers(axes if axes is not None else fixed or [])
        rank = x.ndim + len(chosen)
        for axis in sorted(axis % rank for axis in chosen):
            x = x.unsqueeze(axis)
        return x

    return run


def _concat(node: ir.Node) -> Function:
    axis = node.attributes["axis"].as_int()
    return lambda *parts: torch.cat(parts, axis)


def _split(node: ir.Node) -> Function:
    axis, count = node.attributes.get_int("axis", 0), len(node.outputs)
    fixed = _axes(node, "split")

    def run(x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
        wanted = fixed if sizes is None else _numbers(sizes)
        return torch.split(x, wanted if wanted is not None else -(-x.shape[axis] // count), axis)

    return run


def _slice(_node: ir.Node) -> Function:
    def run(x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None) -> Tensor:
        begin, end = _numbers(starts), _numbers(ends)
        along = range(len(begin)) if axes is None else _numbers(axes)
        stride = [1] * len(begin) if steps is None else _numbers(steps)
        for axis, start, stop, step in zip(along, begin, end, stride, strict=True):
            chosen = range(x.shape[axis])[start:stop:step]
            if step > 0:
                where = [slice(None)] * (axis % x.ndim) + [slice(chosen.start, max(chosen.start, chosen.stop), step)]
                x = x[tuple(where)]
            else:
                x = x.index_select(axis, torch.tensor([*chosen], dtype=torch.int64, device=x.device))
        return x

    return run


def _gather(node: ir.Node) -> Function:
    axis = node.attributes.get_int("axis", 0)

    def run(x: Tensor, indices: Tensor) -> Tensor:
        along = axis % x.ndim
        chosen = torch.where(indices < 0, indices + x.shape[along], indices).to(torch.int64)
        found = x.index_select(along, chosen.reshape(-1))
        return found.reshape(*x.shape[:along], *indices.shape, *x.shape[along + 1 :])

    return run


def _gather_elements(node: ir.Node) -> Function:
    axis = node.attributes.get_int("axis", 0)
    return lambda x, at: torch.gather(x, axis, torch.where(at < 0, at + x.shape[axis], at).to(torch.int64))


def _expand(_node: ir.Node) -> Function:
    return lambda x, shape: x * torch.ones(_numbers(shape), dtype=x.dtype, device=x.device)


def _tile(_node: ir.Node) -> Function:
    return lambda x, repeats: x.repeat(_numbers(repeats))


def _pad(node: ir.Node) -> Function:
    mode = {"edge": "replicate", "wrap": "circular"}.get(node.attributes.get_string("mode", "constant"), "")
    mode = mode or node.attributes.get_string("mode", "constant")

    def run(x: Tensor, pads: Tensor, fill: Tensor | None = None, axes: Tensor | None = None) -> Tensor:
        amounts, along = _numbers(pads), range(x.ndim) if axes is None else _numbers(axes)
        half = len(amounts) // 2
        both = {axis % x.ndim: (amounts[i], amounts[half + i]) for i, axis in enumerate(along)}
        touched = [axis for axis, ends in both.items() if any(ends)]
        first = min(touched, default=x.ndim - 1)
        ends = [end for axis in reversed(range(first, x.ndim)) for end in both.get(axis, (0, 0))]
        if mode == "constant":
            return functional.pad(x, ends, value=0.0 if fill is None else float(fill))
        return functional.pad(x, ends, mode=mode)

    return run


def _depth_to_space(node: ir.Node) -> Function:
    block, by_column = node.attributes["blocksize"].as_int(), node.attributes.get_string("mode", "DCR") == "CRD"

    def run(x: Tensor) -> Tensor:
        rows, channels, height, width = x.shape
        inner = channels // block**2
        if by_column:
            parts = x.reshape(rows, inner, block, block, height, width).permute(0, 1, 4, 2, 5, 3)
        else:
            parts = x.reshape(rows, block, block, inner, height, width).permute(0, 3, 4, 1, 5, 2)
        return parts.reshape(rows, inner, height * block, width * block)

    return run


def _space_to_depth(node: ir.Node) -> Function:
    block = node.attributes["blocksize"].as_int()

    def run(x: Tensor) -> Tensor:
        rows, channels, height, width = x.shape
        parts = x.reshape(rows, channels, height // block, block, width // block, block)
        return parts.permute(0, 3, 5, 1, 2, 4).reshape(rows, channels * block**2, height // block, width // block)

    return run


def _shape(node: ir.Node) -> Function:
    start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", 2**31)
    return lambda x: torch.tensor(list(x.shape)[start:end], device=x.device)


def _constant(node: ir.Node) -> Function:
    value = ir.convenience.get_const_tensor(node.outputs[0])
    assert value is not None
    held = torch.from_numpy(value.numpy().copy())
    return lambda: held


def _constant_of_shape(node: ir.Node) -> Function:
    value = node.attributes["value"].as_tensor() if "value" in node.attributes else None
    fill = 0.0 if value is None else value.numpy().item()
    dtype = torch.float32 if value is None else torch_dtype(value.dtype)
    return lambda shape: torch.full(_numbers(shape), fill, dtype=dtype, device=shape.device)


def _range(_node: ir.Node) -> Function:
    return lambda start, limit, delta: torch.arange(
        start.item(), limit.item(), delta.item(), dtype=start.dtype, device=start.device
    )


MAKERS: dict[str, Callable[[ir.Node], Function]] = {
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""The maker of each operator."""
