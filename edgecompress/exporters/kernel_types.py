"""The table of kernel types in an ORT file, in one order: ONNX Runtime writes it in that of a hash table.

An ORT file is a FlatBuffer: a root with the version, the model and the table by which a build without the ONNX schemas
finds its kernels. FlatBuffers are written back to front, so that the model stands behind the other two and can be kept
as it is; what stands before it is written anew, the table sorted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import flatbuffers
from flatbuffers.number_types import UOffsetTFlags
from flatbuffers.table import Table

IDENTIFIER = b"ORTM"
ALIGNMENT = 64
"""At least what any part of the model asks for; positions count from the end of the file."""
VERSION, MODEL, KERNEL_TYPES = 0, 1, 3
"""Fields of the root, by their place in ONNX Runtime's schema (``ort.fbs``); field 2 is no longer written."""
FIRST_FIELD_BYTES, FIELD_BYTES, OFFSET_BYTES = 4, 2, 4

Argument = tuple[int, int]
KernelTypes = dict[str, dict[str, list[Argument]]]
"""Operator -> type parameter -> which of its inputs (0) and outputs (1), by index, have that type."""


def sort_kernel_types(content: bytes) -> bytes:
    """An ORT file with the same version and model, and with its table of kernel types sorted by name.

    Raises:
        ValueError: the bytes are no ORT file, or one without model.
    """
    if content[OFFSET_BYTES : OFFSET_BYTES + len(IDENTIFIER)] != IDENTIFIER:
        raise ValueError("this is no file in ORT format")
    root = _root(content)
    model = _table(root, MODEL)
    if model is None:
        raise ValueError("this file in ORT format has no model")
    start = min(model.Pos, model.Pos - model.Get(flatbuffers.number_types.SOffsetTFlags, model.Pos))
    builder = _continue(content[start:])
    types, version = _write_types(builder, read_kernel_types(content)), builder.CreateString(_text(root, VERSION))
    builder.StartObject(KERNEL_TYPES + 1)
    builder.PrependUOffsetTRelativeSlot(VERSION, version, 0)
    builder.PrependUOffsetTRelativeSlot(MODEL, len(content) - model.Pos, 0)
    builder.PrependUOffsetTRelativeSlot(KERNEL_TYPES, types, 0)
    builder.Finish(builder.EndObject(), IDENTIFIER)
    return bytes(builder.Output())


def read_kernel_types(content: bytes) -> KernelTypes:
    """The table of an ORT file, in the order of the file."""
    types = _table(_root(content), KERNEL_TYPES)
    return {
        _text(operator, 0): {
            _text(parameter, 0): [_argument(table) for table in _tables(parameter, 1)]
            for parameter in _tables(operator, 1)
        }
        for operator in (_tables(types, 0) if types is not None else ())
    }


def _continue(tail: bytes) -> Any:
    """A builder that has written ``tail`` already."""
    builder = flatbuffers.Builder(2 * len(tail))
    builder.Bytes[-len(tail) :] = tail
    builder.head = len(builder.Bytes) - len(tail)
    builder.minalign = ALIGNMENT
    return builder


def _write_types(builder: Any, types: KernelTypes) -> int:
    operators = []
    for operator, parameters in sorted(types.items()):
        entries = [
            _write_entry(builder, name, [_write_argument(builder, *argument) for argument in arguments])
            for name, arguments in sorted(parameters.items())
        ]
        operators.append(_write_entry(builder, operator, entries))
    vector = _write_vector(builder, operators)
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, vector, 0)
    return int(builder.EndObject())


def _write_entry(builder: Any, name: str, values: list[int]) -> int:
    """A table of a name and a list of tables."""
    vector, text = _write_vector(builder, values), builder.CreateString(name)
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(0, text, 0)
    builder.PrependUOffsetTRelativeSlot(1, vector, 0)
    return int(builder.EndObject())


def _write_argument(builder: Any, kind: int, index: int) -> int:
    builder.StartObject(2)
    builder.PrependInt8Slot(0, kind, 0)
    builder.PrependUint32Slot(1, index, 0)
    return int(builder.EndObject())


def _write_vector(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(OFFSET_BYTES, len(offsets), OFFSET_BYTES)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _root(content: bytes) -> Table:
    return Table(content, flatbuffers.encode.Get(UOffsetTFlags.packer_type, content, 0))


def _field(table: Table, field: int) -> int:
    """The position of a field's value; 0 where it is not there."""
    offset = table.Offset(FIRST_FIELD_BYTES + FIELD_BYTES * field)
    return table.Pos + offset if offset else 0


def _table(table: Table, field: int) -> Table | None:
    position = _field(table, field)
    return Table(table.Bytes, table.Indirect(position)) if position else None


def _tables(table: Table, field: int) -> Iterator[Table]:
    offset = table.Offset(FIRST_FIELD_BYTES + FIELD_BYTES * field)
    places: Iterable[int] = range(table.VectorLen(offset)) if offset else ()
    for place in places:
        yield Table(table.Bytes, table.Indirect(table.Vector(offset) + place * OFFSET_BYTES))


def _text(table: Table, field: int) -> str:
    position = _field(table, field)
    return str(table.String(position).decode()) if position else ""


def _argument(table: Table) -> Argument:
    kind, index = _field(table, 0), _field(table, 1)
    return (
        table.Get(flatbuffers.number_types.Int8Flags, kind) if kind else 0,
        table.Get(flatbuffers.number_types.Uint32Flags, index) if index else 0,
    )
