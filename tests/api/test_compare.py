"""The folder of a comparison is called after the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import edgecompress
from edgecompress import OutputError, RecipeError
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


@pytest.mark.parametrize("given", [[5], 5, {"a.toml": 1}])
def test_recipes_are_paths_or_names(given: Any) -> None:
    with pytest.raises(RecipeError) as refused:
        edgecompress.compare(seeded(ConvNet), calibration=images(), recipes=given)
    assert str(refused.value) == f"recipes is {given!r}; give a list of paths or names of targets"


def test_a_recipe_alone_is_a_list_of_it() -> None:
    with pytest.raises(RecipeError, match=r"^there is another row 'int8'; call 'a/int8.toml' otherwise$"):
        edgecompress.compare(seeded(ConvNet), calibration=images(), recipes="a/int8.toml")
