"""Dummy inputs: what an ONNX file can be timed on where there is no data, made from the shapes that it declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecompress.arrays import Array, TensorSpec
from edgecompress.data.batch_axes import NAMED_BATCH, batch_symbols
from edgecompress.errors import ModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Specs = tuple[TensorSpec, ...]

DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
UNNAMED_BATCH = "batch"


def input_specs(session: InferenceSession) -> Specs:
    """Name, dtype and shape of each input of a session; a dimension without a name gets one.

    Raises:
        ModelError: an input is of a type that cannot be made up.
    """
    return tuple(_spec(each.name, each.type, each.shape) for each in session.get_inputs())


def batch_dimension(specs: Specs) -> str | None:
    """The name of the dimension that counts samples: one that says so, or the first of the first input that has one.

    None where it is fixed.
    """
    symbol = next(iter(batch_symbols({spec.name: spec.shape for spec in specs})), "")
    if NAMED_BATCH.fullmatch(symbol):
        return symbol
    first = next((spec.shape[0] for spec in specs if spec.shape), None)
    return first if isinstance(first, str) else None


def free_dimensions(specs: Specs) -> tuple[str, ...]:
    """The dynamic dimensions other than the batch; only the data tell their sizes."""
    batch = batch_dimension(specs)
    names = (size for spec in specs for size in spec.shape if isinstance(size, str) and size != batch)
    return tuple(dict.fromkeys(names))


def common_specs(by_file: Mapping[str, Specs]) -> Specs:
    """The inputs that all files take alike; a dimension that is fixed in one of them is fixed.

    Raises:
        ModelError: two files take different inputs.
    """
    (first, common), *others = by_file.items()
    for file, specs in others:
        own = {spec.name: spec for spec in specs}
        if own.keys() != {spec.name for spec in common}:
            raise _unlike(first, common, file, specs)
        common = tuple(_joined(spec, own[spec.name], _unlike(first, common, file, specs)) for spec in common)
    return common


def dummy_inputs(specs: Specs, rows: int) -> dict[str, Array]:
    """Seeded normal values, and zeros for integers, which any embedding takes.

    Args:
        specs: what is taken.
        rows: size of the batch dimension where it is dynamic; other dynamic dimensions are 1.
    """
    generator, batch = np.random.default_rng(0), batch_dimension(specs)
    inputs: dict[str, Array] = {}
    for spec in specs:
        shape = [size if isinstance(size, int) else rows if size == batch else 1 for size in spec.shape]
        real = np.issubdtype(spec.dtype, np.floating)
        inputs[spec.name] = (generator.standard_normal(shape) if real else np.zeros(shape)).astype(spec.dtype)
    return inputs


def _spec(name: str, kind: str, shape: Sequence[int | str | None]) -> TensorSpec:
    dtype: Any = DTYPES.get(kind)
    if dtype is None:
        raise ModelError(f"input {name!r} is {kind}, which cannot be made up; give a model that takes numbers")
    named = (size or (f"{name}_{axis}" if axis else UNNAMED_BATCH) for axis, size in enumerate(shape))
    return TensorSpec(name=name, dtype=np.dtype(dtype), shape=tuple(named))


def _joined(left: TensorSpec, right: TensorSpec, unlike: ModelError) -> TensorSpec:
    if left.dtype != right.dtype or len(left.shape) != len(right.shape):
        raise unlike
    pairs = list(zip(left.shape, right.shape, strict=True))
    if any(isinstance(own, int) and isinstance(other, int) and own != other for own, other in pairs):
        raise unlike
    return replace(left, shape=tuple(other if isinstance(other, int) else own for own, other in pairs))


def _unlike(first: str, common: Specs, file: str, specs: Specs) -> ModelError:
    taken, other = (", ".join(f"{spec.name}: {spec}" for spec in each) for each in (common, specs))
    return ModelError(f"{file!r} takes {other}, and {first!r} {taken}; give files that take the same inputs")
