"""The folder of a comparison is called after the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import edgecompress
from edgecompress import OutputError
from edgecompress.comparison import Comparison
from edgecompress.comparison.measured import Measured
from edgecompress.runtime import Network
from tests.networks import ConvNet, images, seeded


@pytest.mark.parametrize(("model", "folder"), [(seeded(ConvNet), "convnet-compare"), ("nets.py:net", "net-compare")])
def test_rows_are_kept_in_a_folder_that_is_named_after_the_model(
    model: Network | str, folder: str, project: Path
) -> None:
    (project / folder).mkdir()
    (project / folder / "mine.txt").write_text("kept")
    with pytest.raises(OutputError, match=rf"^'{folder}' holds other things, 'mine\.txt' for one;"):
        edgecompress.compare(model, calibration=images())


def test_a_row_without_figures_says_why_in_python_s_words(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Measured(key="int8", title="INT8", digest="", missing="nothing can be pruned; set pruning.residual=prune")
    told: list[Measured] = []

    def measure(_network: Network, *, tell: Callable[[Measured], None], **_: Any) -> Comparison:
        tell(row)
        return Comparison(folder=project, rows=(row,), fresh=())

    monkeypatch.setattr("edgecompress.api.compare.compare_rows", measure)
    found = edgecompress.compare(seeded(ConvNet), calibration=images(), tell=told.append)
    worded = replace(row, missing="nothing can be pruned; give overrides=['pruning.residual=prune']")
    assert (*found.rows, *told) == (worded, worded)
