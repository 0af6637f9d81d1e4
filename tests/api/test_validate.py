"""A bundle is validated by its folder or as it was returned, with data of every form."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import edgecompress
from edgecompress.bundle import revalidation
from edgecompress.bundle.manifest import dump_manifest
from edgecompress.cli.app import app, main
from edgecompress.recipe.budgets import Budgets
from edgecompress.registry import CRITERIA, METRICS, OBSERVERS, RUNTIMES, TECHNIQUES, missing
from tests.heard import Heard
from tests.networks import images


def test_a_bundle_and_its_folder_are_validated_alike(small_bundle: Path) -> None:
    bundle = edgecompress.read_bundle(small_bundle)
    for given in (bundle, small_bundle, str(small_bundle)):
        found = edgecompress.validate(given, evaluation=images(seed=2), max_size_mb=2.0)
        values = {row.measure: row.value for row in found.rows}
        assert values["size_mb"] == bundle.artifact.stat().st_size / 1e6
        assert values["accuracy_drop"] == bundle.manifest.metrics["accuracy"]["drop"]


def test_every_limit_that_is_given_is_judged_and_one_that_is_missed_is_no_error(small_bundle: Path) -> None:
    found = edgecompress.validate(
        small_bundle, max_accuracy_drop=100.0, min_speedup=1e-3, max_latency_ms=1e6, max_size_mb=1e-6
    )
    judged = {check.budget: (check.limit, check.outcome) for check in found.verdict.checks}
    given = {
        "max_accuracy_drop": (100.0, "pass"),
        "min_speedup": (1e-3, "pass"),
        "max_latency_ms": (1e6, "pass"),
        "max_size_mb": (1e-6, "fail"),
    }
    assert {name: judged.get(name) for name in given} == given
    assert not found.passed


GONE = {
    "order": ["theirs", "quantization"],
    "options": {"theirs": {"strength": 2}},
    "pruning": {"importance": "theirs"},
    "quantization": {"observer": "theirs"},
    "validation": {"on": ["theirs:board"]},
}


def _recorded(bundle: Path, folder: Path, changes: dict[str, Any]) -> Path:
    """A bundle whose recipe has other values in some of its tables."""
    copied = shutil.copytree(bundle, folder / "bundle")
    manifest = edgecompress.read_bundle(copied).manifest
    recipe = dict(manifest.recipe)
    for key, value in changes.items():
        recipe[key] = {**recipe.get(key, {}), **value} if isinstance(value, dict) else value
    (copied / "manifest.json").write_bytes(dump_manifest(manifest.model_copy(update={"recipe": recipe})))
    return copied


def test_packages_that_are_gone_are_told_and_a_bundle_is_validated_without_them(
    small_bundle: Path, tmp_path: Path
) -> None:
    heard = Heard()
    bundle = _recorded(small_bundle, tmp_path, GONE)
    found = edgecompress.validate(bundle, evaluation=images(seed=2), progress=heard)
    assert heard.lines == [missing(kind, "theirs") for kind in (OBSERVERS, CRITERIA, TECHNIQUES, RUNTIMES)]
    value = next(row.value for row in found.rows if row.measure == "accuracy_drop")
    assert value == edgecompress.read_bundle(small_bundle).manifest.metrics["accuracy"]["drop"]


def test_a_metric_that_is_gone_is_needed_for_data_alone(small_bundle: Path, tmp_path: Path) -> None:
    heard = Heard()
    bundle = _recorded(small_bundle, tmp_path, {"evaluation": {"metric": "theirs", "unit": "%"}})
    edgecompress.validate(bundle, progress=heard)
    assert heard.lines == [missing(METRICS, "theirs")]
    with pytest.raises(edgecompress.RecipeError) as caught:
        edgecompress.validate(bundle, evaluation=images(seed=2))
    assert str(caught.value).endswith("no package registers that; install the one that does, or give metric")
    again = edgecompress.validate(bundle, evaluation=images(seed=2), metric="top1")
    assert next(row for row in again.rows if row.measure == "accuracy").source == "measured here"


def test_a_place_that_is_asked_for_now_has_to_be_there(small_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(edgecompress.RecipeError, match=r"got 'theirs' in 'on'$"):
        edgecompress.validate(_recorded(small_bundle, tmp_path, GONE), on=["theirs:board"])


def test_a_warning_names_arguments(small_bundle: Path) -> None:
    heard = Heard()
    edgecompress.validate(small_bundle, evaluation=images(seed=3), metric="f1", progress=heard)
    assert any("give max_metric_drop, min_metric_kept or, for top1, max_accuracy_drop" in line for line in heard.lines)
    assert not any("--" in line for line in heard.lines)


def test_every_budget_is_an_argument_and_an_option() -> None:
    given = {parameter for parameter in inspect.signature(edgecompress.validate).parameters if "_" in parameter}
    command: Any = typer.main.get_command(app)
    options = {parameter.name for parameter in command.commands["validate"].params}
    assert {*Budgets.model_fields} <= given
    assert {*Budgets.model_fields} <= options


LOOSE: dict[str, float] = {
    name: (1e6 if name.startswith("max_") else 1e-6)
    for name in Budgets.model_fields
    if "agreement" not in name and name not in ("max_cpu_nodes", "min_npu_share", "min_metric")
} | {"min_metric": 1.5}


@pytest.mark.parametrize("name", LOOSE)
def test_a_budget_that_is_given_is_judged(small_bundle: Path, name: str) -> None:
    if name == "max_metric":
        with pytest.raises(edgecompress.RecipeError, match="min_metric"):
            edgecompress.validate(small_bundle, max_metric=1e6)
        return
    found = edgecompress.validate(small_bundle, **{name: LOOSE[name]})  # type: ignore[arg-type]
    judged = {check.budget: (check.limit, check.outcome) for check in found.verdict.checks}
    assert judged[name] == (LOOSE[name], "pass")


def test_every_budget_can_be_dropped(small_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edgecompress.validate(small_bundle).verdict.checks
    dropped: dict[str, Any] = dict.fromkeys(Budgets.model_fields, "none")
    assert edgecompress.validate(small_bundle, **dropped).verdict.checks == ()
    options = [word for name in Budgets.model_fields for word in (f"--{name.replace('_', '-')}", "none")]
    assert main(["validate", str(small_bundle), *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == {"budgets": [], "outcome": "pass"}


def test_as_many_runs_are_timed_as_are_asked_for(small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[int] = []

    def interleave(calls: Any, runs: int) -> Any:
        timed.append(runs)
        return np.ones((runs, len(calls)))

    monkeypatch.setattr(revalidation, "interleave", interleave)
    edgecompress.validate(small_bundle, runs=230)
    assert timed == [230]
    with pytest.raises(edgecompress.RecipeError, match="runs is 9; give a whole number of at least 10"):
        edgecompress.validate(small_bundle, runs=9)


@pytest.mark.parametrize(("written", "limit"), [("300kB", 0.3), ("2", 2.0)])
def test_a_limit_may_be_a_text_with_its_unit(small_bundle: Path, written: str, limit: float) -> None:
    checks = edgecompress.validate(small_bundle, max_size_mb=written).verdict.checks
    assert next(check.limit for check in checks if check.budget == "max_size_mb") == limit


def test_a_limit_that_is_no_number_is_refused(small_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(small_bundle), "--max-size-mb", "small"]) == 2
    assert capsys.readouterr().err == (
        "error: expected number, got 'small' in '--max-size-mb'; write a number, or none to leave it out\n"
    )


def test_a_floor_that_is_a_share_is_refused(small_bundle: Path) -> None:
    with pytest.raises(edgecompress.RecipeError) as caught:
        edgecompress.validate(small_bundle, min_metric=0.7)
    assert str(caught.value) == "'min_metric' is 0.7, and accuracy is in percent; write 70 for 70 %"


def test_the_compression_ratio_is_that_of_the_files_that_are_given(small_bundle: Path, tmp_path: Path) -> None:
    original = tmp_path / "float.onnx"
    original.write_bytes((small_bundle / "model.onnx").read_bytes())
    rows = {row.measure: row for row in edgecompress.validate(small_bundle, original=original).rows}
    ratio = rows["compression_ratio"]
    assert (ratio.value, ratio.source) == (1.0, "measured here")
