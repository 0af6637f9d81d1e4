"""Tensors as bytes, sample by sample: to tell samples apart, and to keep what belongs to each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from edgecompress.arrays import Array
from edgecompress.errors import RecipeError
from edgecompress.training.rows import count_rows


@dataclass(frozen=True, kw_only=True)
class RowForm:
    """What the bytes of a sample mean: dtype and shape of each tensor, and the structure that they stand in."""

    tree: str
    dtypes: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, outputs: Any, rows: int) -> Self:
        """The form of a network's outputs for that many rows.

        Raises:
            RecipeError: they are not all tensors with the batch first, in tuples, lists and dicts.
        """
        leaves, tree = pytree.tree_flatten(outputs)
        if not leaves or not all(isinstance(leaf, Tensor) and leaf.shape[:1] == (rows,) for leaf in leaves):
            raise RecipeError("the teacher's outputs are not all tensors with the batch first; leave cache out")
        try:
            text = pytree.treespec_dumps(tree)
        except (NotImplementedError, TypeError, ValueError) as error:
            raise RecipeError("the teacher's outputs are of a kind that cannot be kept; leave cache out") from error
        dtypes = tuple(str(leaf.dtype).removeprefix("torch.") for leaf in leaves)
        return cls(tree=text, dtypes=dtypes, shapes=tuple(tuple(leaf.shape[1:]) for leaf in leaves))

    @property
    def row_bytes(self) -> int:
        """Bytes of a sample."""
        return sum(self._leaf_bytes())

    def unpack(self, values: Sequence[bytes], device: torch.device) -> Any:
        """The outputs whose rows are these."""
        rows = torch.from_numpy(np.frombuffer(bytearray(b"".join(values)), dtype=np.uint8)).reshape(len(values), -1)
        columns = torch.split(rows, self._leaf_bytes(), dim=1)
        leaves = [
            column.clone(memory_format=torch.contiguous_format).view(getattr(torch, dtype)).reshape(len(values), *shape)
            for column, dtype, shape in zip(columns, self.dtypes, self.shapes, strict=True)
        ]
        return pytree.tree_unflatten([leaf.to(device) for leaf in leaves], pytree.treespec_loads(self.tree))

    def to_json(self) -> str:
        """Form as JSON text."""
        return json.dumps([self.tree, self.dtypes, self.shapes])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Form from the text of :meth:`to_json`."""
        tree, dtypes, shapes = json.loads(text)
        return cls(tree=tree, dtypes=tuple(dtypes), shapes=tuple(map(tuple, shapes)))

    def _leaf_bytes(self) -> list[int]:
        pairs = zip(self.dtypes, self.shapes, strict=True)
        return [getattr(torch, dtype).itemsize * int(np.prod(shape, dtype=np.int64)) for dtype, shape in pairs]


def pack(outputs: Any) -> Array:
    """The bytes of each row, uint8 (rows, bytes), in the order of the axes whatever the layout in memory."""
    leaves = pytree.tree_leaves(outputs)
    flat = [leaf.detach().cpu().contiguous().reshape(len(leaf), -1).view(torch.uint8) for leaf in leaves]
    packed: Array = torch.cat(flat, dim=1).numpy()
    return packed


def digests(inputs: Mapping[str, Tensor]) -> list[bytes]:
    """One for each row: of names, dtypes, shapes and values, and of the precision that networks run in."""
    rows = count_rows(inputs)
    device = next(iter(inputs.values())).device.type
    precision = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    common, own = hashlib.blake2b(f"{precision};".encode(), digest_size=16), []
    for name, value in sorted(inputs.items()):
        common.update(f"{name}:{value.dtype}:{tuple(value.shape[1:])};".encode())
        if value.shape[:1] == (rows,):
            own.append(value)
        else:
            common.update(pack(value[None]).tobytes())
    return [_extended(common, row) for row in pack(own)]


def _extended(common: hashlib.blake2b, row: Array) -> bytes:
    hasher = common.copy()
    hasher.update(row.data)
    return hasher.digest()
