"""A study is kept in a journal file, or the reason why not is told in a line."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

from edgecompress.comparison.search.storage import open_journal, quietly, require_optuna
from edgecompress.errors import OutputError, RecipeError


def test_without_optuna_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(RecipeError, match=r"^a search needs Optuna; pip install 'edgecompress\[search\]'$"):
        require_optuna()


def test_a_journal_is_made_and_opened_again(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    with quietly():
        first = optuna.create_study(study_name="s", storage=open_journal(tmp_path / "study.journal"))
        first.set_user_attr("key", "value")
        again = optuna.load_study(study_name="s", storage=open_journal(tmp_path / "study.journal"))
    assert again.user_attrs == {"key": "value"}


def test_what_is_no_journal_is_named(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    (tmp_path / "a").write_text("a thesis\nof many lines\n")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=r"a' is no journal of a study: .*; remove it"), quietly():
        open_journal(tmp_path / "a")
    with (
        pytest.raises(OutputError, match=r"folder' cannot be used: Is a directory; choose another --output"),
        quietly(),
    ):
        open_journal(tmp_path / "folder")


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
