"""The bytes of a pruned network: a safetensors file, in whose metadata stand its blueprint and a digest.

The metadata has the one key ``edgecompress.pruned``, and that holds JSON: ``version``, ``digest`` and ``blueprint``.
The digest is the SHA-256 of the blueprint's JSON, of the header without metadata, and of the tensors' bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from edgecompress.errors import ModelError, first_line
from edgecompress.pruning.reload.blueprint import Blueprint, blueprint_of
from edgecompress.pruning.reload.file_header import Stored
from edgecompress.pruning.storage import named_tensors

VERSION = 1
KEY = "edgecompress.pruned"
MAX_HEADER_BYTES = 100_000_000
"""What safetensors itself reads at most."""
CHUNK_BYTES = 2**20
FLOATING = ("F", "BF")
"""Prefixes of the safetensors names of floating-point dtypes."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """The start of a safetensors file: its entries by tensor name, its metadata, and where the tensors begin."""

    entries: Mapping[str, Any]
    metadata: Mapping[str, Any]
    start: int


def pruned_file(module: nn.Module) -> bytes:
    """The file of a network; the same network gives the same bytes.

    Raises:
        ModelError: it holds what no such file can.
    """
    blueprint = blueprint_of(module)
    named = named_tensors(module).items()
    try:
        tensors = {name: _plain(tensor) for name, tensor in named if name not in blueprint.shared}
        unsigned = save(tensors)
    except Exception as error:  # sparse and quantized tensors, and dtypes that safetensors does not know
        raise ModelError(f"the model's tensors do not go into safetensors: {first_line(error)}; convert them") from None
    header = _parsed(unsigned[8 : 8 + _length(unsigned[:8])], 0)
    assert header is not None
    text = blueprint.model_dump_json()
    digest = _Digest(text, header.entries)
    digest.update(unsigned[8 + _length(unsigned[:8]) :])
    document = {"version": VERSION, "digest": digest.hex, "blueprint": text}
    return save(tensors, metadata={KEY: json.dumps(document)})


def is_pruned_file(path: Path) -> bool:
    """Whether a file is one of a pruned network, whatever it is called."""
    if not path.is_file():  # a pipe would be waited for
        return False
    try:
        with path.open("rb") as file:
            header = _read_header(file)
    except OSError:
        return False
    return header is not None and KEY in header.metadata


def read_stored(name: str, file: BinaryIO) -> Stored:
    """What an open file says about its network, once its digest is checked, a chunk at a time.

    Args:
        name: of the file, for messages.
        file: open, at any place.

    Raises:
        ModelError: it is no file of a pruned network, a newer one, or one that was changed.
    """
    header = _read_header(file)
    if header is None:
        raise ModelError(f"{name!r} is no safetensors file; give one that ModelPruner.save wrote")
    if KEY not in header.metadata:
        raise ModelError(f"{name!r} is not the file of a pruned network; load it with load_state_dict")
    try:
        document = json.loads(header.metadata[KEY])
        version = document["version"] if type(document["version"]) is int else 0
        stored = _stored(name, file, header, document) if version == VERSION else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        version, stored = 0, None
    if version > VERSION:
        raise ModelError(f"{name!r} has format version {version}, this program reads {VERSION}; update it")
    if stored is None:
        raise ModelError(f"{name!r} was changed after it was written; save it again")
    return stored


def read_values(name: str, file: BinaryIO) -> dict[str, Tensor]:
    """All tensors of an open file by their first names.

    Raises:
        ModelError: their layout is not that of safetensors.
    """
    file.seek(0)
    try:
        return load(file.read())
    except (SafetensorError, KeyError) as error:
        raise ModelError(f"{name!r} is no safetensors file: {first_line(error)}; save it again") from None


def _stored(name: str, file: BinaryIO, header: Header, document: Mapping[str, Any]) -> Stored | None:
    """None where the digest is another one."""
    text, entries = document["blueprint"], header.entries.items()
    if document["digest"] != _digest_of(file, header, text):
        return None
    return Stored(
        name=name,
        blueprint=Blueprint.model_validate_json(text, strict=True),
        shapes={own: tuple(map(int, entry["shape"])) for own, entry in entries},
        floating=frozenset(own for own, entry in entries if entry["dtype"].startswith(FLOATING)),
    )


class _Digest:
    def __init__(self, text: str, entries: Mapping[str, Any]) -> None:
        self._hash = hashlib.sha256(json.dumps([text, entries], sort_keys=True).encode())

    def update(self, data: bytes) -> None:
        self._hash.update(data)

    @property
    def hex(self) -> str:
        return self._hash.hexdigest()


def _digest_of(file: BinaryIO, header: Header, text: str) -> str:
    digest = _Digest(text, header.entries)
    file.seek(header.start)
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hex


def _read_header(file: BinaryIO) -> Header | None:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = _length(file.read(8))
    return None if length > min(MAX_HEADER_BYTES, size - 8) else _parsed(file.read(length), 8 + length)


def _length(start: bytes) -> int:
    return int.from_bytes(start, "little")


def _parsed(content: bytes, start: int) -> Header | None:
    """A header; None where it is not that of a safetensors file, which is padded only with spaces."""
    try:
        entries = json.loads(content) if content.rstrip(b" ").endswith(b"}") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(entries, dict):
        return None
    metadata = entries.pop("__metadata__", {})
    return Header(entries=entries, metadata=metadata, start=start) if isinstance(metadata, dict) else None


def _plain(tensor: Tensor) -> Tensor:
    """Contiguous, on the CPU, and sharing its memory with no other."""
    return tensor.detach().cpu().clone().contiguous()
