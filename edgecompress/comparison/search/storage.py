"""Where a study is kept: a journal file, to which any number of processes write."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgecompress.errors import OutputError, RecipeError, first_line

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

JOURNAL = "study.journal"
"""In the folder of a search."""


def require_optuna() -> None:
    """See that the package is there that searches.

    Raises:
        RecipeError: it is not installed.
    """
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise RecipeError("a search needs Optuna; pip install 'edgecompress[search]'") from None


@contextmanager
def quietly() -> Iterator[None]:
    """Optuna's log, and its warnings of what is new in it, are not the user's."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def open_journal(path: Path) -> BaseStorage:
    """The storage in a journal file, which is made where it is missing.

    Raises:
        OutputError: it cannot be read or written, or is none.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    try:
        return JournalStorage(JournalFileBackend(str(path)))
    except OSError as error:
        raise OutputError(f"{str(path)!r} cannot be used: {error.strerror}; choose another --output") from error
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{str(path)!r} is no journal of a study: {first_line(error)}; remove it") from error
