"""Where a study is kept, for any number of workers: a journal file, SQLite or PostgreSQL."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from edgecompress.errors import OutputError, RecipeError, first_line

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

JOURNAL = "study.journal"
"""In the folder of a search."""
SEPARATOR = "://"
DATABASES = ("sqlite", "postgresql")
HEARTBEAT_SECONDS = 30
"""Between two signs of life of a worker in a database; one that gave none for twice as long is dead."""
LOCKED_SECONDS = 60
"""That a worker waits for another one that writes to SQLite."""


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


def check_storage(url: str) -> str:
    """The URL of a storage, or the path of a journal file, as it is.

    Raises:
        RecipeError: it holds a password, or is of a storage that is not known.
    """
    if SEPARATOR not in url:
        return url
    scheme, _, rest = url.partition(SEPARATOR)
    try:
        parts = urlsplit(url)
        secret = parts.password is not None or "password" in parse_qs(parts.query, keep_blank_values=True)
    except ValueError:
        secret = "@" in rest
    if secret:
        raise RecipeError(
            "the URL of the storage holds a password, which others can read; leave it out (--storage), and set"
            " PGPASSWORD in the environment"
        )
    if scheme.partition("+")[0] not in DATABASES:
        raise RecipeError(
            f"a study cannot be kept in {scheme!r}; give the path of a journal file, sqlite:///FILE or"
            " postgresql://USER@HOST/NAME (--storage)"
        )
    return url


def open_storage(url: str) -> BaseStorage:
    """The storage at a URL, or in a journal file, which is made where it is missing.

    Raises:
        OutputError: it cannot be reached, read or written, or is none.
        RecipeError: it is of a kind that is not known, or what speaks to it is not installed.
    """
    return _open_database(check_storage(url)) if SEPARATOR in url else open_journal(Path(url))


def require_there(url: str) -> None:
    """See that the file of a storage is there: opening it would make it.

    Raises:
        OutputError: it is not.
    """
    scheme, separator, rest = url.partition(SEPARATOR)
    file = Path(url) if not separator else Path(rest.removeprefix("/")) if scheme.startswith("sqlite") else None
    if file is not None and not file.is_file():
        raise OutputError(f"there is no study in {url!r}; begin one with edgecompress search MODEL --storage URL")


def is_shared_by_locks(storage: BaseStorage) -> bool:
    """Whether locks of files say which workers live; of a database their heartbeats do, on any machine."""
    from optuna.storages import JournalStorage

    return isinstance(storage, JournalStorage)


@contextmanager
def reached(url: str) -> Iterator[None]:
    """What a database says when it cannot be reached, or no longer, or a file that cannot be written, in a line.

    Raises:
        OutputError: it cannot.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        reason = first_line(error.__cause__ or error)
        raise OutputError(
            f"storage {url!r} cannot be used: {reason}; see that the database is there (--storage)"
        ) from error
    except OSError as error:  # those of a trial are kept with it
        reason = error.strerror or type(error).__name__
        raise OutputError(
            f"the study in {url!r}, or the folder of its trials, cannot be written: {reason}; free some room, or choose"
            " another --output or --storage"
        ) from error


def _open_database(url: str) -> BaseStorage:
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

    waits = {"connect_args": {"timeout": LOCKED_SECONDS}} if url.startswith("sqlite") else {}
    try:
        with reached(url):
            return RDBStorage(
                url,
                engine_kwargs=waits,
                heartbeat_interval=HEARTBEAT_SECONDS,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
            )
    except ImportError:
        raise RecipeError(f"storage {url!r} needs the driver of its database; pip install 'psycopg[binary]'") from None


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
