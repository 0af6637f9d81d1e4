"""A study is kept in a journal file, or the reason why not is told in a line."""

from __future__ import annotations

import errno
import re
import sys
import warnings
from pathlib import Path

import pytest

from edgecompress.comparison.search.storage import (
    check_storage,
    is_journal,
    open_storage,
    quietly,
    reached,
    require_optuna,
    require_there,
)
from edgecompress.errors import OutputError, RecipeError


def test_without_optuna_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(RecipeError, match=r"^a search needs Optuna; pip install 'edgecompress\[search\]'$"):
        require_optuna()


def test_optuna_is_quiet_only_inside() -> None:
    optuna = pytest.importorskip("optuna")
    before = optuna.logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quietly():
            assert optuna.logging.get_verbosity() == optuna.logging.CRITICAL
            warnings.warn("new", optuna.exceptions.ExperimentalWarning, stacklevel=1)
        assert optuna.logging.get_verbosity() == before
        with pytest.raises(optuna.exceptions.ExperimentalWarning):
            warnings.warn("new", optuna.exceptions.ExperimentalWarning, stacklevel=1)


@pytest.mark.parametrize("url", ["study.journal", "/a/b:c", "sqlite:///a.db", "postgresql://user@host:5432/name"])
def test_a_storage_without_a_secret_is_taken(url: str) -> None:
    assert check_storage(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@host/name",
        "postgresql+psycopg://user:hunter2@host/name?sslmode=require",
        "postgresql://host/name?user=a&password=hunter2",
        "postgresql://user:hunter2@[host/name",
        "mysql://user:hunter2@host/name",
        "postgresql://me:s3#hunter2@h/d",
        "postgresql://me:p/hunter2@h/d",
        "postgresql://me:p?hunter2@h/d",
        "postgresql://me@h/d?sslpassword=hunter2",
        "postgresql://me@h/d?PASSWORD=hunter2",
    ],
)
def test_a_password_is_refused_and_never_told(url: str) -> None:
    told = (
        "the URL of the storage holds a password, which others can read; leave it out (--storage), and set"
        " PGPASSWORD in the environment"
    )
    with pytest.raises(RecipeError) as found:
        check_storage(url)
    assert str(found.value) == told
    assert "hunter2" not in repr(found.value.__dict__)


@pytest.mark.parametrize("url", ["postgresql:/u:hunter2@h/d", "postgres:u:hunter2@h", "sqlite:/a.db"])
def test_what_is_almost_a_url_is_told_how_it_is_written(url: str) -> None:
    with pytest.raises(RecipeError) as found:
        check_storage(url)
    assert (
        str(found.value)
        == "this is no URL of a database; write sqlite:///FILE or postgresql://USER@HOST/NAME (--storage)"
    )


def test_a_port_that_is_no_number_is_one_line() -> None:
    pytest.importorskip("optuna")
    told = r"^storage 'postgresql://me@host:port/d' is no URL of a database: .*; repair --storage$"
    with pytest.raises(RecipeError, match=told), quietly():
        open_storage("postgresql://me@host:port/d")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite+pysqlite:///:memory:",
        "sqlite:///file::memory:?cache=shared&uri=true",
        "sqlite:///file:study?mode=memory&uri=true",
    ],
)
def test_a_database_in_memory_is_refused(url: str) -> None:
    told = "a study in memory ends with the process, and no worker can join it; write sqlite:///FILE (--storage)"
    with pytest.raises(RecipeError, match=f"^{re.escape(told)}$"):
        check_storage(url)


def test_a_kind_of_storage_that_is_not_known_is_told() -> None:
    told = (
        "a study cannot be kept in 'redis'; give the path of a journal file, sqlite:///FILE or"
        " postgresql://USER@HOST/NAME (--storage)"
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(told)}$"):
        check_storage("redis://host")


def test_a_database_is_opened_or_the_reason_is_told(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    with quietly():
        open_storage(f"sqlite:///{tmp_path / 'study.db'}")
        assert is_journal(str(tmp_path / "study.journal"))
        assert not is_journal(f"sqlite:///{tmp_path / 'study.db'}")
        missing = f"sqlite:///{tmp_path / 'none' / 'study.db'}"
        reason = "unable to open database file"
        told = f"storage {missing!r} cannot be used: {reason}; see that the database is there (--storage)"
        with pytest.raises(OutputError, match=f"^{re.escape(told)}$"):
            open_storage(missing)


def test_a_database_without_a_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    for driver in ("psycopg", "psycopg2"):
        monkeypatch.setitem(sys.modules, driver, None)
    url = "postgresql://user@host/name"
    told = f"storage {url!r} needs the driver of its database; pip install 'psycopg[binary]'"
    with pytest.raises(RecipeError, match=f"^{re.escape(told)}$"), quietly():
        open_storage(url)


def test_a_database_that_is_gone_in_the_middle_is_told() -> None:
    pytest.importorskip("optuna")
    from sqlalchemy.exc import OperationalError

    with pytest.raises(OutputError, match=r"cannot be used: server closed the connection; see that"), reached("u"):
        raise OperationalError("SELECT", {}, Exception()) from ConnectionError("server closed the connection\nbye")


@pytest.mark.parametrize("url", ["{}/study.journal", "sqlite:///{}/study.db"])
def test_a_storage_that_is_joined_is_not_made(url: str, tmp_path: Path) -> None:
    place = url.format(tmp_path)
    told = f"there is no study in {place!r}; begin one with edgecompress search MODEL --storage URL"
    with pytest.raises(OutputError, match=f"^{re.escape(told)}$"):
        require_there(place)
    assert [*tmp_path.iterdir()] == []
    require_there("postgresql://host/name")


def test_a_file_that_can_no_longer_be_written_is_told() -> None:
    pytest.importorskip("optuna")
    told = (
        "the study in 'a.journal', or the folder of its trials, cannot be written: No space left on device; free some"
        " room, or choose another --output or --storage"
    )
    with pytest.raises(OutputError, match=f"^{re.escape(told)}$"), reached("a.journal"):
        raise OSError(errno.ENOSPC, "No space left on device")
