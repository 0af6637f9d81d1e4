"""A bounded folder of what was made before, for any number of processes: each entry under a digest of what it is of.

An entry is a file: the SHA-256 of its content, then the content. It is there whole or not at all; one that is damaged
is removed, and made anew. Where all entries are larger than the limit, those that were not used for longest go.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgecompress.errors import OutputError
from edgecompress.system.durable import replacing
from edgecompress.system.locks import owned
from edgecompress.system.user_folder import user_folder

VARIABLE = "EDGECOMPRESS_CACHE"
"""Of the environment: the folder, in place of the one in the user's cache."""
LIMIT, LOCK = "limit", "lock"
"""Files of the folder: the limit in bytes, and what is held while entries are removed."""
DEFAULT_LIMIT_BYTES = 5 * 10**9
ENTRY = re.compile(r"[0-9a-f]{64}")
UNFINISHED = re.compile(r"\.[0-9a-f]{64}\.partial")
DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a cache holds: ``entries`` in number and their ``size_bytes``, of ``limit_bytes``."""

    entries: int
    size_bytes: int
    limit_bytes: int


def cache_folder() -> Path:
    """The folder that the environment names, or the one in the user's cache.

    Raises:
        InputError: there is neither.
    """
    return user_folder("steps", VARIABLE)


class Cache:
    """Entries by key, in a folder of its own; whatever goes wrong with it, the work goes on without it.

    Args:
        folder: made when the first entry is.
        warn: told in a line, once, why nothing can be kept.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self.folder, self._warn, self._warned = folder, warn, False

    def read(self, key: str) -> bytes | None:
        """The content of an entry; None where there is none, or a damaged one, which is removed.

        Args:
            key: a SHA-256, in hexadecimal digits.
        """
        path = self._path(key)
        try:
            found = path.read_bytes()
        except OSError:
            return None
        content = memoryview(found)[DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != found[:DIGEST_BYTES]:
            self.drop(key)
            return None
        with suppress(OSError):
            os.utime(path)  # it was used now
        return bytes(content)

    def write(self, key: str, content: bytes) -> None:
        """Keep an entry, and let others go where all are too large; one that is larger than the limit is not kept."""
        try:
            size = DIGEST_BYTES + len(content)
            if size > self._limit_bytes():
                return
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with replacing(self._path(key)) as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
            self._trim()
        except (OSError, OutputError) as error:
            self._tell(getattr(error, "strerror", None) or str(error))

    def drop(self, key: str) -> None:
        """Forget an entry."""
        with suppress(OSError):
            self._path(key).unlink()

    def usage(self) -> Usage:
        """What is there.

        Raises:
            OutputError: the folder cannot be read.
        """
        try:
            sizes = [size for _, size, _ in self._entries()]
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise OutputError(
                f"the cache in {str(self.folder)!r} cannot be read: {reason}; make it a folder that you may read, or"
                f" set {VARIABLE} to another one"
            ) from error
        return Usage(entries=len(sizes), size_bytes=sum(sizes), limit_bytes=self._limit_bytes())

    def set_limit(self, limit_bytes: int) -> None:
        """Keep no more than so many bytes from now on, in every process; with 0, nothing.

        Raises:
            OutputError: the folder cannot be written.
        """
        with self._changed():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with replacing(self.folder / LIMIT) as file:
                file.write(str(limit_bytes).encode())
            self._trim()

    def clear(self) -> None:
        """Remove all entries; the limit stays.

        Raises:
            OutputError: they cannot be removed.
        """
        with self._changed():
            if os.path.lexists(self.folder):
                self._trim(0)

    @contextmanager
    def _changed(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise OutputError(
                f"the cache in {str(self.folder)!r} cannot be changed: {reason}; make it writable, or set {VARIABLE} to"
                " another folder"
            ) from error

    def _trim(self, limit_bytes: int | None = None) -> None:
        """Remove what killed processes left, and the entries that were not used for longest, down to the limit."""
        limit = self._limit_bytes() if limit_bytes is None else limit_bytes
        with owned(self.folder / LOCK, wait=True):
            for path in self.folder.iterdir():
                if UNFINISHED.fullmatch(path.name):
                    with suppress(BlockingIOError, FileNotFoundError), owned(path, wait=False):
                        path.unlink()
            entries = sorted(self._entries())
            left = sum(size for _, size, _ in entries)
            for _, size, path in entries:
                if left <= limit:
                    break
                path.unlink(missing_ok=True)
                left -= size

    def _entries(self) -> Iterator[tuple[int, int, Path]]:
        """When each was used, in nanoseconds, its bytes, and its file."""
        for path in self.folder.iterdir() if os.path.lexists(self.folder) else ():
            if ENTRY.fullmatch(path.name):
                with suppress(FileNotFoundError):  # another process removed it
                    found = path.stat()
                    yield found.st_mtime_ns, found.st_size, path

    def _limit_bytes(self) -> int:
        try:
            return int((self.folder / LIMIT).read_text())
        except (OSError, ValueError):
            return DEFAULT_LIMIT_BYTES

    def _path(self, key: str) -> Path:
        assert ENTRY.fullmatch(key)
        return self.folder / key

    def _tell(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(
                f"nothing is kept for the next run: the cache in {str(self.folder)!r} cannot be written: {reason};"
                f" set {VARIABLE} to another folder"
            )
