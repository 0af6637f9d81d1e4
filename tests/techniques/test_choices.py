"""What a killed run had chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.techniques.choices import chosen_once

CHOICE = {"units": [3, 1], "widths": {"layer": 2}}
OTHER = {"units": [0]}


def test_it_comes_back_whole_for_its_own_key(tmp_path: Path) -> None:
    file = tmp_path / "new" / "channels-1.json"
    assert chosen_once(file, "key", lambda: CHOICE) == CHOICE
    assert chosen_once(file, "key", lambda: OTHER) == CHOICE
    assert chosen_once(file, "another", lambda: OTHER) == OTHER
    assert [path.name for path in file.parent.iterdir()] == ["channels-1.json"]
    assert chosen_once(None, "another", lambda: CHOICE) == CHOICE


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": "key"}', '{"key": "key", "choice": 1}'])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    file = tmp_path / "channels-1.json"
    file.write_text(content)
    assert chosen_once(file, "key", lambda: CHOICE) == CHOICE
    assert chosen_once(file, "key", lambda: OTHER) == CHOICE
