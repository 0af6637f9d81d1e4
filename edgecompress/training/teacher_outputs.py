"""Teacher outputs that are computed once and kept on disk.

A sample is known by a digest of its inputs, so that any order of the samples finds its outputs again, and samples that
random augmentation varies simply are new ones. The file belongs to one teacher; transactions keep it whole when
the process is killed, and let several processes of one machine share it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from edgecompress.errors import OutputError, RecipeError
from edgecompress.training.checkpoint import fingerprint
from edgecompress.training.running import run_network

FORMAT = 1
MARK = 0x65647465
"""What SQLite calls an application id."""
WAIT_SECONDS = 60.0
"""How long one process waits for the others to write."""


class TeacherOutputs:
    """The outputs of one teacher, in one folder.

    Attributes:
        path: the file.
        hits: samples whose outputs were found.
        misses: samples for which the teacher was run.

    Raises:
        OutputError: the folder cannot be written, or the file is no file of teacher outputs.
    """

    def __init__(self, folder: Path, teacher: nn.Module) -> None:
        """
        Args:
            folder: made where there is none; on a disk of this machine, since SQLite's locks need one.
            teacher: what decides its outputs, weights and structure, is in the file's name.
        """
        self.path = folder / f"teacher-{fingerprint(teacher, str(teacher))[:16]}.sqlite"
        self.hits = self.misses = 0
        self._teacher = teacher
        self._form: _Form | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cache folder {str(folder)!r} cannot be made: {error.strerror}; choose another one"
            ) from error
        with self._faults_named():
            self._connection = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None)
            weakref.finalize(self, self._connection.close)
            self._prepare()

    def ask(self, inputs: Mapping[str, Tensor]) -> Any:
        """The teacher's outputs in the order of the rows, in its own structure, on the inputs' device.

        Raises:
            RecipeError: they are no tensors with the batch first, or their shapes differ from sample to sample.
            OutputError: the file is spoilt, or cannot be read or written.
            ModelError: the teacher fails.
        """
        keys = _digests(inputs)
        with self._faults_named():
            known = self._read(keys)
        rows: dict[bytes, int] = {}
        for row, key in enumerate(keys):
            if key not in known:
                rows.setdefault(key, row)
        if rows:
            known |= self._compute(rows, inputs, len(keys))
        self.misses += len(rows)
        self.hits += len(keys) - len(rows)
        return self._decoded([known[key] for key in keys], next(iter(inputs.values())).device)

    def _compute(self, rows: Mapping[bytes, int], inputs: Mapping[str, Tensor], count: int) -> dict[bytes, bytes]:
        outputs = run_network(self._teacher, _some(inputs, list(rows.values()), count), "the teacher")
        leaves, tree = pytree.tree_flatten(outputs)
        form = _Form.of(leaves, tree, len(rows))
        packed = _packed(leaves).numpy()
        fresh = {key: packed[index].tobytes() for index, key in enumerate(rows)}
        with self._faults_named():
            self._write(form, fresh)
        return fresh

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        found = {}
        for key in keys:
            row = self._connection.execute("SELECT value FROM outputs WHERE key = ?", (key,)).fetchone()
            if row is not None:
                found[key] = row[0]
        return found

    def _write(self, form: _Form, fresh: Mapping[bytes, bytes]) -> None:
        with self._transaction():
            self._connection.execute("INSERT OR IGNORE INTO form VALUES (0, ?)", (form.to_json(),))
            self._connection.executemany("INSERT OR IGNORE INTO outputs VALUES (?, ?)", fresh.items())
            if form != self._kept_form():
                raise RecipeError("the teacher's outputs differ in shape from sample to sample; leave cache out")

    def _kept_form(self) -> _Form:
        if self._form is None:
            text = self._connection.execute("SELECT text FROM form").fetchone()
            if text is None:
                raise sqlite3.DatabaseError("outputs without a form")
            self._form = _Form.from_json(text[0])
        return self._form

    def _decoded(self, values: Sequence[bytes], device: torch.device) -> Any:
        with self._faults_named():
            form = self._kept_form()
            if {len(value) for value in values} != {form.row_bytes}:
                raise sqlite3.DatabaseError("values of another length")
        return form.unpacked(values, device)

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with self._transaction():
            tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            mark, kept = (
                self._connection.execute(f"PRAGMA {n}").fetchone()[0] for n in ("application_id", "user_version")
            )
            if tables and (mark, kept) != (MARK, FORMAT):
                raise sqlite3.DatabaseError("foreign tables")
            if not tables:
                self._connection.execute(f"PRAGMA application_id = {MARK}")
                self._connection.execute(f"PRAGMA user_version = {FORMAT}")
                self._connection.execute("CREATE TABLE form (one INTEGER PRIMARY KEY, text TEXT NOT NULL)")
                self._connection.execute("CREATE TABLE outputs (key BLOB PRIMARY KEY, value BLOB NOT NULL)")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing, and no other process in between."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def _faults_named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OutputError(
                f"teacher outputs {str(self.path)!r} cannot be read or written: {error}; choose another cache folder"
            ) from error
        except sqlite3.DatabaseError as error:
            raise OutputError(
                f"{str(self.path)!r} is no file of teacher outputs of this version; delete it, or choose another"
                " cache folder"
            ) from error


@dataclass(frozen=True, kw_only=True)
class _Form:
    """What the bytes of a sample mean: dtype and shape of each tensor, and the structure that they stand in."""

    tree: str
    dtypes: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, leaves: Sequence[Any], tree: pytree.TreeSpec, rows: int) -> Self:
        """The form of outputs for that many rows."""
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

    def unpacked(self, values: Sequence[bytes], device: torch.device) -> Any:
        """The outputs whose rows are these."""
        rows = torch.from_numpy(np.frombuffer(bytearray(b"".join(values)), dtype=np.uint8)).reshape(len(values), -1)
        columns = torch.split(rows, self._leaf_bytes(), dim=1)
        leaves = [
            column.clone(memory_format=torch.contiguous_format).view(getattr(torch, dtype)).reshape(len(values), *shape)
            for column, dtype, shape in zip(columns, self.dtypes, self.shapes, strict=True)
        ]
        return pytree.tree_unflatten([leaf.to(device) for leaf in leaves], pytree.treespec_loads(self.tree))

    def to_json(self) -> str:
        """As text."""
        return json.dumps([self.tree, self.dtypes, self.shapes])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """From what :meth:`to_json` gives."""
        tree, dtypes, shapes = json.loads(text)
        return cls(tree=tree, dtypes=tuple(dtypes), shapes=tuple(map(tuple, shapes)))

    def _leaf_bytes(self) -> list[int]:
        pairs = zip(self.dtypes, self.shapes, strict=True)
        return [getattr(torch, dtype).itemsize * int(np.prod(shape, dtype=np.int64)) for dtype, shape in pairs]


def _digests(inputs: Mapping[str, Tensor]) -> list[bytes]:
    """One for each row: of names, dtypes, shapes and values, and of the precision in which the teacher runs."""
    rows = len(next(iter(inputs.values())))
    device = next(iter(inputs.values())).device.type
    precision = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    common, own = hashlib.blake2b(f"{precision};".encode(), digest_size=16), []
    for name, value in sorted(inputs.items()):
        common.update(f"{name}:{value.dtype}:{tuple(value.shape[1:])};".encode())
        if value.shape[:1] == (rows,):
            own.append(value)
        else:
            common.update(_packed([value[None]]).numpy().tobytes())
    packed = _packed(own).numpy()
    return [_extended(common, packed[row]) for row in range(rows)]


def _extended(common: hashlib.blake2b, row: Any) -> bytes:
    hasher = common.copy()
    hasher.update(row.data)
    return hasher.digest()


def _packed(values: Sequence[Tensor]) -> Tensor:
    """The bytes of each row, (rows, bytes), in the order of the axes whatever the layout in memory."""
    flat = [value.detach().cpu().contiguous().reshape(len(value), -1).view(torch.uint8) for value in values]
    return flat[0] if len(flat) == 1 else torch.cat(flat, dim=1)


def _some(inputs: Mapping[str, Tensor], rows: list[int], count: int) -> dict[str, Tensor]:
    if len(rows) == count:
        return dict(inputs)
    return {name: value[rows] if value.shape[:1] == (count,) else value for name, value in inputs.items()}
