"""Where a study is kept, for any number of workers: a journal file, SQLite or PostgreSQL."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgecompress.comparison.search.journal import open_journal
from edgecompress.errors import OutputError, RecipeError, first_line

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

JOURNAL = "study.journal"
"""In the folder of a search."""
SEPARATOR = "://"
DATABASES = ("sqlite", "postgresql")
ALMOST = re.compile(r"(sqlite|postgres(ql)?)(\+\w+)?:", re.IGNORECASE)
"""What begins like a URL of a database, and is none."""
DEATHS = 2
"""Processes that a recipe may end before it is given up."""
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
        if ALMOST.match(url):
            raise RecipeError(
                "this is no URL of a database; write sqlite:///FILE or postgresql://USER@HOST/NAME (--storage)"
            )
        return url
    scheme, _, rest = url.partition(SEPARATOR)
    if scheme.partition("+")[0] != "sqlite" and _holds_password(rest):
        raise RecipeError(
            "the URL of the storage holds a password, which others can read; leave it out (--storage), and set"
            " PGPASSWORD in the environment"
        )
    if scheme.partition("+")[0] not in DATABASES:
        raise RecipeError(
            f"a study cannot be kept in {scheme!r}; give the path of a journal file, sqlite:///FILE or"
            " postgresql://USER@HOST/NAME (--storage)"
        )
    if scheme.partition("+")[0] == "sqlite" and _in_memory(rest):
        raise RecipeError(
            "a study in memory ends with the process, and no worker can join it; write sqlite:///FILE (--storage)"
        )
    return url


def _in_memory(rest: str) -> bool:
    """Whether what stands behind ``sqlite://`` names no file."""
    file, _, query = rest.partition("?")
    return file.strip("/") in ("", ":memory:") or "mode=memory" in query or ":memory:" in file


def _holds_password(rest: str) -> bool:
    """Whether what stands behind the scheme of a URL holds one, as any reader of URLs may see it."""
    keys = re.findall(r"[?&]([^=&?]*)=", rest)
    return ":" in rest.rpartition("@")[0] or any("pass" in key.lower() for key in keys)


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
    local = rest.partition("?")[0].removeprefix("/")
    file = Path(url) if not separator else Path(local) if scheme.startswith("sqlite") else None
    if file is not None and not file.is_file():
        raise no_study(url)


def no_study(url: str) -> OutputError:
    """What is told of a storage without a study."""
    return OutputError(f"there is no study in {url!r}; begin one with edgecompress search MODEL --storage URL")


def is_journal(url: str) -> bool:
    """Whether a study is kept in a journal file: there locks say which workers live, elsewhere their heartbeats."""
    return SEPARATOR not in url


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
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=DEATHS),
            )
    except ImportError:
        raise RecipeError(f"storage {url!r} needs the driver of its database; pip install 'psycopg[binary]'") from None
    except OutputError:
        raise
    except ValueError as error:
        raise RecipeError(f"storage {url!r} is no URL of a database: {first_line(error)}; repair --storage") from None
