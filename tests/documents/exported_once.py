"""A network that was exported before is not exported again: the blocks of all pages compress the same few."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from unittest import mock

import onnx
import onnx_ir as ir
from torch.export import ExportedProgram

from edgecompress.exporters.onnx import to_onnx
from edgecompress.recipe.tables import Export
from edgecompress.runtime import to_bytes

CALLERS = ("edgecompress.pipeline.to_onnx", "edgecompress.techniques.cutting", "edgecompress.low_rank.latency")


@contextlib.contextmanager
def exported_once() -> Iterator[None]:
    """Remember what was exported, under a digest of the program, its weights and the settings, while this lasts."""
    known: dict[str, bytes] = {}

    def remembered(program: ExportedProgram, export: Export) -> ir.Model:
        key = _digest(program, export)
        if key not in known:
            known[key] = to_bytes(to_onnx(program, export))
        return ir.from_proto(onnx.load_from_string(known[key]))

    with contextlib.ExitStack() as stack:
        for caller in CALLERS:
            stack.enter_context(mock.patch(f"{caller}.to_onnx", remembered))
        yield


def _digest(program: ExportedProgram, export: Export) -> str:
    shown = re.sub(r"# File: \S+", "", str(program))  # each page has a folder of its own
    digest = hashlib.sha256(f"{shown}{export}".encode())
    for name, tensor in program.state_dict.items():
        digest.update(name.encode() + tensor.detach().numpy().tobytes())
    return digest.hexdigest()
