"""What several processes train together: the lowering that the first of them found, sent to the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import onnx
import onnx_ir as ir

from edgecompress.calibration import Workers
from edgecompress.quantization.lowering import Lowering
from edgecompress.runtime import to_bytes


@dataclass(frozen=True, kw_only=True)
class _Packed:
    """A lowering whose models are files: tensors that were read from a file cannot be pickled."""

    rest: Lowering
    model: bytes
    floats: bytes


def agreed_lowering(workers: Workers, find: Callable[[], Lowering | None]) -> Lowering | None:
    """What the first process finds is to be trained, in every process; None where that is nothing.

    Args:
        workers: this process among all, which all call this.
        find: called in the first process only.

    Raises:
        EdgecompressError: the first process failed or is gone.
    """
    if workers.count == 1:
        return find()
    packed = workers.exchange(lambda: None if workers.rank else _packed(find()))[0]
    return None if packed is None else _unpacked(packed)


def _packed(found: Lowering | None) -> _Packed | None:
    if found is None:
        return None
    empty = ir.Model(ir.Graph([], [], nodes=[]), ir_version=found.model.ir_version)
    rest = replace(found, model=empty, floats=empty)
    return _Packed(rest=rest, model=to_bytes(found.model), floats=to_bytes(found.floats))


def _unpacked(packed: _Packed) -> Lowering:
    model, floats = (ir.from_proto(onnx.load_from_string(content)) for content in (packed.model, packed.floats))
    return replace(packed.rest, model=model, floats=floats)
