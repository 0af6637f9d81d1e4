"""A digest of targets in any form: what is equal has the same one, in every process."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
import torch

from edgecompress.errors import DataError

PLAIN: tuple[type[Any], ...] = (bool, int, float, complex, str, bytes)


def digest_of(value: Any) -> bytes:
    """SHA-256 of nested dicts, lists, tuples, sets, arrays, tensors, texts and numbers.

    A tensor counts as the array of its values, a path as its text, an object as its class and its attributes. The order
    of a dict and of a set does not count.

    Raises:
        DataError: something in it has no values that could be read.

    >>> digest_of({"boxes": [np.zeros(4)], "id": 3}) == digest_of({"id": 3, "boxes": [torch.zeros(4).double()]})
    True
    """
    try:
        return _digest(value)
    except RecursionError:
        raise DataError("targets hold themselves; give dicts, lists, arrays, texts and numbers") from None


def _digest(value: Any) -> bytes:
    if isinstance(value, torch.Tensor):
        return _of_tensor(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return _of_array(np.asarray(value))
    if value is None:
        return _hashed("None")
    for kind in PLAIN:
        if isinstance(value, kind):
            return _hashed(kind.__name__, repr(kind(value)).encode())
    if isinstance(value, os.PathLike):
        return _hashed("path", os.fsencode(value))
    if isinstance(value, Mapping):
        return _hashed("dict", *sorted(_digest(key) + _digest(part) for key, part in value.items()))
    if isinstance(value, Set):
        return _hashed("set", *sorted(map(_digest, value)))
    if isinstance(value, (list, tuple)):
        return _hashed("list" if isinstance(value, list) else "tuple", *map(_digest, value))
    return _of_object(value)


def _of_tensor(tensor: torch.Tensor) -> bytes:
    try:
        return _of_array(tensor.numpy(force=True))
    except (TypeError, RuntimeError):  # bfloat16, and what is no array of values
        pass
    try:
        values = tensor.detach().cpu().clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8)
        return _hashed(str(tensor.dtype), repr(tuple(tensor.shape)).encode(), values.numpy().tobytes())
    except (TypeError, RuntimeError):
        raise DataError(f"targets hold a tensor of {tensor.dtype} that is no array; give dense tensors") from None


def _of_array(array: np.ndarray[Any, Any]) -> bytes:
    shape = repr(array.shape).encode()
    if array.dtype.hasobject:
        return _hashed("objects", shape, *map(_digest, array.ravel().tolist()))
    return _hashed(f"array {array.dtype}", shape, np.ascontiguousarray(array).tobytes())


def _of_object(value: Any) -> bytes:
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _hashed(name, *(_digest(getattr(value, field.name)) for field in dataclasses.fields(value)))
    if hasattr(value, "__array__"):
        return _hashed(name, _of_array(np.asarray(value)))
    if hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        return _hashed(name, _digest(vars(value)))
    raise DataError(f"targets hold a {name}, whose values cannot be read; give dicts, lists, arrays, texts and numbers")


def _hashed(kind: str, *parts: bytes) -> bytes:
    """A hash of parts that no other parts have: each with its length."""
    return hashlib.sha256(b"".join(_framed((kind.encode(), *parts)))).digest()


def _framed(parts: Iterable[bytes]) -> Iterable[bytes]:
    for part in parts:
        yield len(part).to_bytes(8, "big")
        yield part
