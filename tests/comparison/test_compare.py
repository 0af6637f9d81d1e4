"""Every row is a bundle, and only what changed is measured again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edgecompress.bundle.reading import read_bundle
from edgecompress.comparison import ROWS, Comparison, compare
from edgecompress.comparison.compare import prepare_folder
from edgecompress.comparison.measured import Measured, Timing
from edgecompress.errors import OutputError, RecipeError
from edgecompress.loading.metrics import MeasuredBy
from tests.networks import images, seeded
from tests.techniques.contexts import Blocks

QUICK = [
    *("export.simplify=false", "quantization.adaround=false", "quantization.fallback_evaluations=0", "cpu.runs=10"),
    *("training.epochs=1", "pruning.multiple=1", "pruning.spread=uniform", "budgets.min_speedup=1.01"),
]
DATA: dict[str, Any] = {"calibration": images(), "evaluation": images(seed=1)}


def _compare(folder: Path, *overrides: str, **data: Any) -> Comparison:
    return compare(seeded(Blocks), **{**DATA, **data}, output=folder, overrides=[*QUICK, *overrides])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison without training data."""
    folder = tmp_path_factory.mktemp("compare") / "all"
    _compare(folder)
    return folder


def test_rows_without_their_data_say_so(folder: Path) -> None:
    found = _compare(folder)
    told = {row.key: row.missing for row in found.rows}
    needs = "needs train data"
    assert told == {
        "original": None,
        "pruned": needs,
        "int8": None,
        "distilled": needs,
        "low-rank": needs,
        "pruned-int8": needs,
    }


def test_a_second_run_measures_nothing(folder: Path) -> None:
    before = (folder / "comparison.json").read_bytes()
    again = _compare(folder)
    assert again.fresh == ()
    assert all(row.timing for row in again.rows if row.there)
    assert (folder / "comparison.json").read_bytes() == before


def test_only_the_row_whose_recipe_changed_is_measured_again(folder: Path) -> None:
    assert _compare(folder, "int8:quantization.granularity=per_tensor").fresh == ("int8",)
    assert _compare(folder).fresh == ("int8",)


def test_a_bundle_that_was_changed_is_made_again(folder: Path) -> None:
    (folder / "int8" / "model.onnx").write_bytes(b"no model")
    assert _compare(folder).fresh == ("int8",)
    read_bundle(folder / "int8")


def test_the_original_is_one_and_the_int8_smaller(folder: Path) -> None:
    rows = {row.key: row for row in _compare(folder).rows}
    original, int8 = rows["original"], rows["int8"]
    assert (original.accuracy_drop, original.compression_ratio) == (0, 1)
    assert original.timing is not None
    assert original.timing.speedup == 1.0
    assert int8.compression_ratio is not None
    assert int8.compression_ratio > 2
    assert int8.size_bytes == (folder / "int8" / "model.onnx").stat().st_size


def test_all_rows_with_all_data(tmp_path: Path) -> None:
    found = _compare(tmp_path / "all", 'low-rank:low_rank.protect=["*"]', train=images(seed=2))
    assert [row.key for row in found.rows] == [row.key for row in ROWS]
    assert found.fresh == tuple(row.key for row in ROWS)
    missing = {row.key: row.missing for row in found.rows if not row.there}
    assert missing.keys() == {"low-rank"}  # a technique that finds nothing to do ends its own row alone
    assert "no layer" in str(missing["low-rank"])
    rows = json.loads((tmp_path / "all" / "comparison.json").read_text())["rows"]
    assert [row["key"] for row in rows] == [row.key for row in ROWS]
    ratios = {row.key: row.compression_ratio for row in found.rows}
    assert (ratios["pruned-int8"] or 0) > (ratios["int8"] or 0) > 1
    lines = (tmp_path / "all" / "comparison.md").read_text().splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert len((tmp_path / "all" / "comparison.csv").read_text().splitlines()) == 1 + len(ROWS)


def test_rows_that_train_have_the_loss_and_others_are_told_of_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_network: Any, *, target: Any, by: MeasuredBy, **_: Any) -> None:
        asked.append((target.recipe.trains, target.recipe.training.loss, by.loss))
        raise RecipeError("not now; wait")

    asked: list[tuple[bool, str | None, Any]] = []
    monkeypatch.setattr("edgecompress.comparison.making.make_request", refuse)
    by = MeasuredBy(loss=_sum)
    compare(seeded(Blocks), **DATA, train=images(), output=tmp_path / "all", overrides=QUICK, by=by)
    place = f"{__name__}:_sum"
    assert set(asked) == {(True, place, _sum), (False, None, None)}


def _sum(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return outputs.sum()


def test_recipes_of_the_users_own_are_rows_and_others_are_kept(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("extends = 'mobile'\n[quantization]\nobserver = 'mse'\n")
    given: dict[str, Any] = {"recipes": [tmp_path / "mine.toml"]}
    before = _compare(folder)
    found = _compare(folder, **given)
    assert found.fresh == ("mine",)
    (row,) = [row for row in found.rows if row.key == "mine"]
    assert (row.title, row.missing) == ("mine", None)
    assert read_bundle(folder / "mine").manifest.recipe["quantization"]["observer"] == "mse"
    assert [row.key for row in _compare(folder).rows] == [row.key for row in before.rows]
    assert _compare(folder, **given).fresh == ()


def test_a_row_whose_own_code_changed_is_measured_again(folder: Path, tmp_path: Path) -> None:
    own, helper = tmp_path / "own_metric_of_a_row.py", tmp_path / "helper_of_a_metric.py"
    helper.write_text("SCALE = 1.0\n")
    own.write_text(
        "from helper_of_a_metric import SCALE\n"
        "def own(outputs, targets): return SCALE * float((outputs.argmax(1) == targets).mean())\n"
    )
    (tmp_path / "scored.toml").write_text(f"extends = 'mobile'\n[evaluation]\nmetric = '{own}:own'\n")
    given: dict[str, Any] = {"recipes": [tmp_path / "scored.toml"]}
    _compare(folder, **given)
    assert _compare(folder, **given).fresh == ()
    own.write_text(own.read_text().replace("mean()", "sum()"))
    assert _compare(folder, **given).fresh == ("scored",)
    assert _compare(folder, **given).fresh == ()
    helper.write_text("SCALE = 0.5\n")
    assert _compare(folder, **given).fresh == ("scored",)


def _measured(key: str, drop: float | None, size: int, speedup: float) -> Measured:
    timing = Timing(median_ms=1.0, speedup=speedup, low=speedup - 0.1, high=speedup + 0.1)
    return Measured(key=key, title=key, digest="", size_bytes=size, metric_drop=drop, timing=timing)


def test_the_front_are_the_rows_that_no_other_one_beats() -> None:
    rows = (
        _measured("original", 0.0, 400, 1.0),
        _measured("slow", 0.5, 100, 1.5),
        _measured("fast", 0.5, 100, 3.0),
        _measured("small", 2.0, 50, 3.05),
        _measured("worse", 2.5, 60, 3.1),
        Measured(key="none", title="none", digest="", missing="needs train data"),
    )
    found = Comparison(folder=Path("out"), rows=rows, fresh=())
    assert found.front == ("original", "fast", "small")
    assert found.document()["front"] == ["original", "fast", "small"]
    unlabelled = tuple(replace(row, metric_drop=None) for row in rows)
    assert Comparison(folder=Path("out"), rows=unlabelled, fresh=()).front == ()


def test_a_folder_of_other_things_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds other things, 'thesis.tex' for one; choose an empty"):
        _compare(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", [".original.partial", "pruned.checkpoints", ".comparison.md.partial"])
def test_what_a_killed_run_left_is_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    prepare_folder(tmp_path)


@pytest.mark.parametrize("name", ["comparison.csv", "comparison.md", "pruned.txt", ".git"])
def test_what_is_of_others_is_not(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(OutputError, match="holds other things"):
        prepare_folder(tmp_path)
