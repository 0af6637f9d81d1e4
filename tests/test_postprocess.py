"""Texts in place of numbers: postprocessing and targets of any form, from the command line and from Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgecompress
from edgecompress.bundle.reading import Bundle, read_bundle
from edgecompress.cli.app import main
from edgecompress.errors import RecipeError
from edgecompress.loading.user_code import resolve
from edgecompress.runtime import open_session, run_session

QUICK = ("export.simplify=false", "cpu.runs=10", "budgets.min_speedup=none", "budgets.min_compression_ratio=none")
SETS = [part for key in QUICK for part in ("--set", key)]
NETS = """
import torch
from torch import nn

class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 64), nn.Linear(64, 6)
    def forward(self, x): return self.last(torch.relu(self.first(x)))

def reader():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Reader().eval()

def draw(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn((32, 8), generator=generator) for _ in range(3)]

def vectors(): return draw(0)
def words(outputs): return ["".join("ab"[int(value > 0)] for value in row) for row in outputs]
def written():
    with torch.no_grad(): return [(x, [{"word": word[:-1] + "b"} for word in words(reader()(x))]) for x in draw(1)]
def some_written(): return [(x, [*words[:-1], None]) for x, words in written()]

class Letters:
    unit, higher_is_better = "%", True
    def __init__(self): self.reset()
    def update(self, found, targets):
        for word, target in zip(found, targets, strict=True):
            self.right += sum(a == b for a, b in zip(word, target["word"], strict=True))
            self.all += len(word)
    def compute(self): return 100 * self.right / self.all
    def reset(self): self.right, self.all = 0, 0
"""
CODE = ("--postprocess", "readers.py:words", "--metric", "readers.py:Letters")
DATA = ("--calibration", "readers.py:vectors", "--evaluation", "readers.py:written")


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "readers.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _share(file: Path) -> float:
    """The letters that a file gets right, by a session alone."""
    names: dict[str, Any] = {}
    exec(NETS, names)
    session, right = open_session(file, threads=1), []
    for x, targets in names["written"]():
        (outputs,) = run_session(session, {"x": x.numpy()})
        right += [(value > 0) == (letter == "b") for row, target in zip(outputs, targets, strict=True)
                  for value, letter in zip(row, target["word"], strict=True)]  # fmt: skip
    return 100 * float(np.mean(right))


def _compress(*more: str) -> int:
    return main(["compress", "readers.py:reader", *DATA, *SETS, "--output", "out", *more])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle that was measured so."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "readers.py").write_text(NETS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert _compress(*CODE, "--set", "budgets.max_metric_drop=20") == 0
    return folder


@pytest.fixture
def bundle(made: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.chdir(made)
    return read_bundle(made / "out")


def test_it_decides_before_and_after(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    found = bundle.manifest.metrics["metric"]
    assert 50 < found["original"] < 100
    assert found["compressed"] == pytest.approx(_share(bundle.artifact))
    assert found["drop"] == pytest.approx(found["original"] - found["compressed"])
    assert (found["name"], found["postprocess"]) == ("readers.py:Letters", "readers.py:words")
    assert bundle.manifest.recipe["evaluation"]["postprocess"] == "readers.py:words"
    assert 'postprocess = "readers.py:words"' in (bundle.path / "recipe.toml").read_text()
    assert [check.budget for check in bundle.manifest.verdict.budgets] == ["max_metric_drop"]
    assert main(["validate", "out"]) == 0
    assert any(line.startswith("Letters ") for line in capsys.readouterr().out.splitlines())


def test_validate_runs_what_the_caller_names_and_nothing_else(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--evaluation", "readers.py:written")
    for named in ((), CODE[:2], CODE[2:]):
        assert main(["validate", "out", *data, *named]) == 2
        assert "code that its maker named; give --" in capsys.readouterr().err
    assert main(["validate", "out", *data, *CODE, "--json"]) == 0
    measures = json.loads(capsys.readouterr().out)["measures"]
    recorded = bundle.manifest.metrics["metric"]
    assert measures["metric"]["value"] == pytest.approx(recorded["compressed"])
    assert measures["metric_drop"]["value"] == pytest.approx(recorded["drop"])
    assert main(["validate", "out"]) == 0  # the record is read without it


def test_a_drop_is_that_of_the_same_postprocessing(bundle: Bundle) -> None:
    """What another one makes has another value, which does not compare with the record."""
    words: Any = resolve("readers.py:words", RecipeError, "postprocess")
    found = edgecompress.validate(
        bundle, evaluation="readers.py:written", metric="readers.py:Letters", postprocess=lambda o: words(-o)
    )
    values = {row.measure: row.value for row in found.rows}
    assert values["metric"] == pytest.approx(100 - bundle.manifest.metrics["metric"]["compressed"])
    assert values["metric_drop"] is None


FAULTS = {
    "def words(outputs): return ['a'] * 3": "gives 3 entries for 32 samples of evaluation batch 0; return one",
    "def words(outputs): return None": "gives None for evaluation batch 0; return what the metric is given",
    "def words(outputs): raise ValueError('odd')": "raised ValueError on evaluation batch 0: odd; repair it",
    "def word(outputs): return outputs": "'bad.py' has no callable 'words'; did you mean 'word'?",
    "def words(outputs, targets): return outputs": "cannot be called with (outputs); give a function of the outputs",
    "def words(outputs): raise SystemExit(5)": "raised SystemExit on evaluation batch 0",
}


@pytest.mark.parametrize("code", FAULTS)
def test_postprocessing_that_is_none_ends_in_one_line(
    nets: Path, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (nets / "bad.py").write_text(code)
    assert _compress("--postprocess", "bad.py:words", *CODE[2:]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert FAULTS[code] in lines[0]
    assert not (nets / "out").exists()


def test_a_missing_target_is_named(nets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ("--calibration", "readers.py:vectors", "--evaluation", "readers.py:some_written")
    assert main(["compress", "readers.py:reader", *data, *SETS, *CODE, "--output", "out"]) == 2
    assert capsys.readouterr().err == (
        "error: evaluation batch 0: sample 31 has no target; give one for each sample, or none at all\n"
    )


def test_top_1_says_what_works_for_such_targets(nets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _compress() == 2
    assert capsys.readouterr().err == (
        "error: evaluation batch 0: labels are a list that is no array of numbers; give class indices, an integer array"
        " of shape (rows,), name a metric that takes them (--metric), or leave labels out\n"
    )


def test_rows_of_a_comparison_see_it(nets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "readers.py:reader", *DATA, *SETS, "--json", "--output", "table", *CODE]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["int8"]["metric_value"] == pytest.approx(_share(nets / "table" / "int8" / "model.onnx"))
