"""Operators that multiply by weights, look at windows, and change sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir
import torch
from torch import Tensor
from torch.nn import functional

from edgecompress.quantization.aware.operators.no_form import no_form

Function = Callable[..., Tensor]
INTERPOLATED = {1: "linear", 2: "bilinear", 3: "trilinear"}
CONVOLVE = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
MAX_POOL = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
SUM_POOL = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


def _window(node: ir.Node, name: str, rank: int) -> list[int]:
    return list(node.attributes[name].as_ints()) if name in node.attributes else [1] * rank


def _pads(
    node: ir.Node, size: Sequence[int], kernel: Sequence[int], strides: Sequence[int], holes: Sequence[int]
) -> list[int]:
    """The begins of all axes, and then the ends."""
    rank, auto = len(kernel), node.attributes.get_string("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        return list(node.attributes["pads"].as_ints()) if "pads" in node.attributes else [0] * (2 * rank)
    if auto == "VALID":
        return [0] * (2 * rank)
    sums = [
        max(0, (-(-length // step) - 1) * step + (width - 1) * hole + 1 - length)
        for length, width, step, hole in zip(size, kernel, strides, holes, strict=True)
    ]
    less, more = [total // 2 for total in sums], [total - total // 2 for total in sums]
    return [*less, *more] if auto == "SAME_UPPER" else [*more, *less]


def _padded(x: Tensor, pads: Sequence[int], value: float = 0.0) -> Tensor:
    """A tensor with a border, the last axes first, as PyTorch wants them."""
    rank = len(pads) // 2
    ends = [end for axis in reversed(range(rank)) for end in (pads[axis], pads[rank + axis])]
    return functional.pad(x, ends, value=value) if any(ends) else x


def _conv(node: ir.Node) -> Function:
    groups = node.attributes.get_int("group", 1)

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        rank, kernel = weight.ndim - 2, weight.shape[2:]
        strides, holes = _window(node, "strides", rank), _window(node, "dilations", rank)
        pads = _pads(node, x.shape[2:], kernel, strides, holes)
        if pads[:rank] != pads[rank:]:
            x, pads = _padded(x, pads), [0] * (2 * rank)
        return CONVOLVE[rank](x, weight, bias, strides, pads[:rank], holes, groups)

    return run


def _conv_transpose(node: ir.Node) -> Function:
    groups = node.attributes.get_int("group", 1)
    if node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in node.attributes:
        raise no_form(node, ", which pads by itself,")

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        rank = weight.ndim - 2
        strides, holes = _window(node, "strides", rank), _window(node, "dilations", rank)
        more = list(node.attributes["output_padding"].as_ints()) if "output_padding" in node.attributes else [0] * rank
        pads = list(node.attributes["pads"].as_ints()) if "pads" in node.attributes else [0] * (2 * rank)
        made = TRANSPOSED[rank](x, weight, bias, strides, 0, more, groups, holes)
        for axis in range(rank):
            made = made.narrow(2 + axis, pads[axis], made.shape[2 + axis] - pads[axis] - pads[rank + axis])
        return made

    return run


def _gemm(node: ir.Node) -> Function:
    alpha, beta = node.attributes.get_float("alpha", 1.0), node.attributes.get_float("beta", 1.0)
    turns = [bool(node.attributes.get_int(name, 0)) for name in ("transA", "transB")]

    def run(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        a, b = (value.T if turned else value for value, turned in zip((a, b), turns, strict=True))
        product = alpha * (a @ b) if alpha != 1 else a @ b
        return product if c is None else product + (beta * c if beta != 1 else c)

    return run


def _max_pool(node: ir.Node) -> Function:
    kernel = list(node.attributes["kernel_shape"].as_ints())
    rank = len(kernel)
    strides, holes = _window(node, "strides", rank), _window(node, "dilations", rank)
    ceil = bool(node.attributes.get_int("ceil_mode", 0))

    def run(x: Tensor) -> Tensor:
        x = _padded(x, _pads(node, x.shape[2:], kernel, strides, holes), float("-inf"))
        return MAX_POOL[rank](x, kernel, strides, 0, holes, ceil)

    return run


def _average_pool(node: ir.Node) -> Function:
    kernel = list(node.attributes["kernel_shape"].as_ints())
    rank = len(kernel)
    strides, holes = _window(node, "strides", rank), _window(node, "dilations", rank)
    ceil, counts = bool(node.attributes.get_int("ceil_mode", 0)), bool(node.attributes.get_int("count_include_pad", 0))
    if ceil or any(hole != 1 for hole in holes):
        raise no_form(node, " with ceil_mode or dilations")

    def run(x: Tensor) -> Tensor:
        pads = _pads(node, x.shape[2:], kernel, strides, holes)
        mean = SUM_POOL[rank](_padded(x, pads), kernel, strides)
        if counts or not any(pads):
            return mean
        inside = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype, device=x.device)
        return mean / SUM_POOL[rank](_padded(inside, pads), kernel, strides)

    return run


def _over_all_places(reduce: Callable[..., Tensor]) -> Callable[[ir.Node], Function]:
    return lambda _node: lambda x: reduce(x, tuple(range(2, x.ndim)), keepdim=True)


def _resize(node: ir.Node) -> Function:
    mode = node.attributes.get_string("mode", "nearest")
    where = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    nearest = node.attributes.get_string("nearest_mode", "round_prefer_floor")
    corners = where == "align_corners"
    plain = where == "asymmetric" and nearest == "floor" if mode == "nearest" else mode == "linear"
    if not plain or (mode == "linear" and where not in ("half_pixel", "pytorch_half_pixel", "align_corners")):
        raise no_form(node, f" ({mode}, {where})")

    def run(x: Tensor, _roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None) -> Tensor:
        rank = x.ndim - 2
        if sizes is not None and sizes.numel():
            target = [int(size) for size in sizes.tolist()][2:]
        else:
            assert scales is not None
            target = [int(size * float(scale)) for size, scale in zip(x.shape[2:], scales.tolist()[2:], strict=True)]
        if mode == "nearest":
            return functional.interpolate(x, target, mode="nearest")
        return functional.interpolate(
            x, target, mode={1: "linear", 2: "bilinear", 3: "trilinear"}[rank], align_corners=corners
        )

    return run


MAKERS: dict[str, Callable[[ir.Node], Function]] = {
    "AveragePool": _average_pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "GlobalAveragePool": _over_all_places(torch.mean),
    "GlobalMaxPool": _over_all_places(torch.amax),
    "MatMul": lambda _node: torch.matmul,
    "MaxPool": _max_pool,
    "Resize": _resize,
}
"""The maker of each operator."""
