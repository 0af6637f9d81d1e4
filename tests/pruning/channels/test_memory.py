"""What a killed run had chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.pruning.channels.memory import recall, remember
from edgecompress.pruning.channels.request import Selection
from edgecompress.step import Refusal

SELECTION = Selection(
    units=(3, 1), widths={"layer": 2}, refusals=(Refusal(name="head", kind="channels", reason="protected"),)
)


def test_it_comes_back_whole_for_its_own_key(tmp_path: Path) -> None:
    file = tmp_path / "new" / "channels-1.json"
    assert recall(file, "key") is None
    remember(file, "key", SELECTION)
    assert recall(file, "key") == SELECTION
    assert recall(file, "another") is None
    assert [path.name for path in file.parent.iterdir()] == ["channels-1.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": "key"}', '{"key": "key", "refusals": [1], "units": []}'])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    file = tmp_path / "channels-1.json"
    file.write_text(content)
    assert recall(file, "key") is None
