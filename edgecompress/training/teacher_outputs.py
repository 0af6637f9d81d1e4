"""Teacher outputs that are computed once and kept on disk.

A sample is known by a digest of its inputs, so that any order of the samples finds its outputs again, and samples that
random augmentation varies simply are new ones. The file belongs to one teacher; transactions keep it whole when
the process is killed, and let several processes of one machine share it.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from edgecompress.errors import OutputError, RecipeError
from edgecompress.training.checkpoint import fingerprint
from edgecompress.training.packed_outputs import RowForm, digests, pack
from edgecompress.training.rows import some_rows
from edgecompress.training.user_calls import run_network

FORMAT = 1
MARK = 0x65647465
"""What SQLite calls an application id."""
WAIT_SECONDS = 60.0
"""Time that a process waits for the others to write."""


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
        self._form: RowForm | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cache folder {str(folder)!r} cannot be made: {error.strerror}; choose another one"
            ) from error
        with self._faults_named():
            self._connection = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None)
            weakref.finalize(self, self._connection.close)
            self._checked = self._prepare()

    def ask(self, inputs: Mapping[str, Tensor]) -> Any:
        """The teacher's outputs in the order of the rows, in its own structure, on the inputs' device.

        Raises:
            RecipeError: they are no tensors with the batch first, or their shapes differ from sample to sample.
            OutputError: the file is spoilt, or cannot be read or written.
            ModelError: the teacher fails.
        """
        keys = digests(inputs)
        with self._faults_named():
            known = self._read(keys)
        if known and not self._checked:
            self._check(known, keys, inputs)
        rows: dict[bytes, int] = {}
        for row, key in enumerate(keys):
            if key not in known:
                rows.setdefault(key, row)
        if rows:
            known |= self._compute(rows, inputs)
        self.misses += len(rows)
        self.hits += len(keys) - len(rows)
        return self._decoded([known[key] for key in keys], next(iter(inputs.values())).device)

    def _check(self, known: Mapping[bytes, bytes], keys: Sequence[bytes], inputs: Mapping[str, Tensor]) -> None:
        """Hold one sample's outputs against the teacher: its code is not in the name of the file."""
        row = next(at for at, key in enumerate(keys) if key in known)
        outputs = run_network(self._teacher, some_rows(inputs, [row]), "the teacher")
        kept = self._decoded([known[keys[row]]], next(iter(inputs.values())).device)
        pairs = zip(pytree.tree_leaves(outputs), pytree.tree_leaves(kept), strict=True)
        if not all(torch.allclose(now, before, rtol=1e-2, atol=1e-3, equal_nan=True) for now, before in pairs):
            raise OutputError(f"{str(self.path)!r} holds the outputs of another teacher; delete it")
        self._checked = True

    def _compute(self, rows: Mapping[bytes, int], inputs: Mapping[str, Tensor]) -> dict[bytes, bytes]:
        outputs = run_network(self._teacher, some_rows(inputs, list(rows.values())), "the teacher")
        form = RowForm.of(outputs, len(rows))
        fresh = {key: packed.tobytes() for key, packed in zip(rows, pack(outputs), strict=True)}
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

    def _write(self, form: RowForm, fresh: Mapping[bytes, bytes]) -> None:
        with self._transaction():
            self._connection.execute("INSERT OR IGNORE INTO form VALUES (0, ?)", (form.to_json(),))
            self._connection.executemany("INSERT OR IGNORE INTO outputs VALUES (?, ?)", fresh.items())
            if form != self._form_kept():
                raise RecipeError("the teacher's outputs differ in shape from sample to sample; leave cache out")

    def _form_kept(self) -> RowForm:
        if self._form is None:
            try:
                self._form = RowForm.from_json(self._connection.execute("SELECT text FROM form").fetchone()[0])
            except (TypeError, ValueError) as error:
                raise sqlite3.DatabaseError("outputs without a form") from error
        return self._form

    def _decoded(self, values: Sequence[bytes], device: torch.device) -> Any:
        with self._faults_named():
            form = self._form_kept()
            if {len(value) for value in values} != {form.row_bytes}:
                raise sqlite3.DatabaseError("values of another length")
        return form.unpack(values, device)

    def _prepare(self) -> bool:
        """Whether there was nothing yet, so that all that will be found is this teacher's."""
        is_new = self._is_empty()
        with self._transaction():
            if self._is_empty():
                self._connection.execute(f"PRAGMA application_id = {MARK}")
                self._connection.execute(f"PRAGMA user_version = {FORMAT}")
                self._connection.execute("CREATE TABLE form (one INTEGER PRIMARY KEY, text TEXT NOT NULL)")
                self._connection.execute("CREATE TABLE outputs (key BLOB PRIMARY KEY, value BLOB NOT NULL)")
        return is_new

    def _is_empty(self) -> bool:
        """Whether nothing is there yet; what is there has to be ours."""
        queries = ("SELECT count(*) FROM sqlite_master", "PRAGMA application_id", "PRAGMA user_version")
        tables, *mark = (self._connection.execute(query).fetchone()[0] for query in queries)
        if tables and mark != [MARK, FORMAT]:
            raise sqlite3.DatabaseError("foreign tables")
        return not tables

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
