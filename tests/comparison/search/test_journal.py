"""A journal is what workers write in turn; what is none stays as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgecompress.comparison.search.journal import JournalLock, lock_of_trial, open_journal
from edgecompress.comparison.search.storage import quietly
from edgecompress.errors import OutputError

optuna = pytest.importorskip("optuna")


def _study(path: Path, value: int) -> Any:
    with quietly():
        study = optuna.create_study(study_name="s", storage=open_journal(path), load_if_exists=True)
        study.set_user_attr("key", value)
    return study


def test_a_journal_is_made_and_opened_again(tmp_path: Path) -> None:
    _study(tmp_path / "study.journal", 1)
    with quietly():
        again = optuna.load_study(study_name="s", storage=open_journal(tmp_path / "study.journal"))
    assert again.user_attrs == {"key": 1}
    assert [place.name for place in tmp_path.iterdir()] == ["study.journal"]


def test_a_worker_that_was_killed_while_it_wrote_leaves_the_journal_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _study(Path("study.journal"), 1)
    code = (
        "import os, sys; from pathlib import Path; from edgecompress.comparison.search.journal import JournalLock;"
        " lock = JournalLock(Path('study.journal').absolute()); lock.acquire(); os._exit(137)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 137
    assert Path("study.journal.lock").exists()
    assert _study(Path("study.journal"), 2).user_attrs == {"key": 2}


def test_half_a_line_of_a_worker_without_room_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    _study(path, 1)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 3].rstrip(b"\n"))
    assert _study(path, 2).user_attrs == {"key": 2}
    path.write_bytes(b'{"op_code": 0, "worker')
    assert _study(path, 3).user_attrs == {"key": 3}


@pytest.mark.parametrize(
    ("content", "fix"),
    [
        (b"a thesis", "give another --storage"),
        (b"a thesis\nof many lines\n", "give another --storage"),
        (b'{"a": 1}', "give another --storage"),
        (b'{"a": 1}\n', "give another --storage"),
        (b"[1]\n", "give another --storage"),
        (b"\x08\x0a\x12pytorch", "give another --storage"),
        (b"SQLite format 3\x00\n", "write --storage sqlite:///{path}"),
    ],
)
def test_a_file_of_the_user_s_is_named_and_left_as_it_is(tmp_path: Path, content: bytes, fix: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    told = f"{str(path)!r} is no journal of a study; {fix.format(path=path)}"
    with pytest.raises(OutputError, match=f"^{re.escape(told)}$"), quietly():
        open_journal(path)
    assert path.read_bytes() == content
    assert [place.name for place in tmp_path.iterdir()] == ["file"]


def test_a_folder_and_a_missing_one_are_told(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "none" / "j", "No such file or directory")):
        told = f"{str(path)!r} cannot be used: {reason}; choose another --output or --storage"
        with pytest.raises(OutputError, match=f"^{re.escape(told)}$"), quietly():
            open_journal(path)


def test_locks_stand_next_to_the_journal(tmp_path: Path) -> None:
    lock = JournalLock(tmp_path / "j")
    for _ in range(2):
        assert lock.acquire()
        assert [place.name for place in tmp_path.iterdir()] == ["j.lock"]
        lock.release()
    assert lock_of_trial(tmp_path / "j", "abc").parent == tmp_path
