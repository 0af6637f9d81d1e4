"""The moments of the inputs of layers, streamed over batches in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecompress.data.batches import Batch
from edgecompress.low_rank.layers import Layers, refuse
from edgecompress.low_rank.parts import Layer
from edgecompress.low_rank.truncated_svd import InputMoments, Matrix
from edgecompress.modules.copies import copied
from edgecompress.modules.forward import run_example
from edgecompress.progress import Progress
from edgecompress.runtime import tensors
from edgecompress.step import Refusal

WIDEST = 2304
"""Inputs, times the kernel, of the widest layer whose moments are taken: 42 MB in float64."""


def gather(
    model: nn.Module, layers: Layers, batches: Iterable[Batch], progress: Progress
) -> tuple[Mapping[str, InputMoments], tuple[Refusal, ...]]:
    """The moments of what each layer's weight multiplies: inputs, or unfolded patches.

    Args:
        model: not modified; runs in evaluation mode.
        layers: of it.
        batches: read one at a time, without their labels.
        progress: told of every batch.

    Returns:
        Moments by layer, and the layers that are too wide for them.
    """
    taken = {name: layer for name, layer in layers.items() if layer.weight[0].numel() <= WIDEST}
    running = copied(model)
    sums: dict[str, _Sums] = {}
    for name, layer in taken.items():
        sums[name] = _Sums(layer.weight[0].numel())
        running.get_submodule(name).register_forward_pre_hook(_adding(sums[name]))
    for batch in progress.track(batches, "measuring the inputs of layers", "batch"):
        run_example(running, tensors(batch.inputs))
    wide = {name: layer for name, layer in layers.items() if name not in taken}
    reason = f"weighed without data: more than {WIDEST} inputs times kernel"
    refusals = tuple(refuse(name, layer, reason) for name, layer in wide.items())
    return {name: total.moments() for name, total in sums.items() if total.count}, refusals


def rows(layer: Layer, source: Tensor) -> Iterator[Matrix]:
    """What a layer's weight multiplies, a row for each position, shape (positions, inputs times kernel), float64."""
    if isinstance(layer, nn.Linear):
        yield _as_rows(source.reshape(-1, layer.in_features))
        return
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    batched = source if source.dim() == layer.weight.dim() else source[None]
    for sample in batched:
        padded = functional.pad(sample[None], layer._reversed_padding_repeated_twice, mode=mode)
        if isinstance(layer, nn.Conv1d):
            yield _as_rows(padded[0, :, :: layer.stride[0]].T)
        else:
            patches = functional.unfold(padded, layer.kernel_size, dilation=layer.dilation, stride=layer.stride)
            yield _as_rows(patches[0].T)


def _as_rows(source: Tensor) -> Matrix:
    matrix: Matrix = source.detach().cpu().to(torch.float64).numpy()
    return matrix


class _Sums:
    def __init__(self, width: int) -> None:
        self.count = 0
        self.first, self.second = np.zeros(width), np.zeros((width, width))

    def add(self, matrix: Matrix) -> None:
        self.count += len(matrix)
        self.first += matrix.sum(axis=0)
        self.second += matrix.T @ matrix

    def moments(self) -> InputMoments:
        return InputMoments(mean=self.first / self.count, second=self.second / self.count)


def _adding(sums: _Sums) -> Any:
    def add(layer: Layer, inputs: tuple[Tensor, ...]) -> None:
        for matrix in rows(layer, inputs[0]) if inputs else ():
            sums.add(matrix)

    return add
