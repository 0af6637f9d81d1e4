"""What a tracking server is told of a bundle: recipe and measures, by names that it takes."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgecompress.bundle.manifest import FileEntry, Manifest, TargetEntry, VerdictEntry
from edgecompress.recipe.tables import Recipe
from edgecompress.report.run_record import MAX_NAME, MAX_TEXT, record_of

ALLOWED = {*string.ascii_letters, *string.digits, *"_. -"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


def _manifest(**changes: Any) -> Manifest:
    entries: dict[str, Any] = {
        "format_version": 1,
        "edgecompress_version": "0.1.0",
        "target": TargetEntry(name="mobile", strategy="quantization", reason="smaller"),
        "recipe": Recipe().model_dump(mode="json"),
        "files": {name: FileEntry(sha256="0" * 64, size_bytes=1) for name in ("model.onnx", "recipe.toml")},
        "data": {"calibration_samples": 64},
        "metrics": {},
        "verdict": VerdictEntry(outcome="pass", budgets=()),
        "environment": {"torch": "2.13.0"},
    }
    return Manifest(**{**entries, **changes})


def test_the_recipe_is_told_by_the_keys_of_set() -> None:
    parameters = record_of(_manifest()).parameters
    assert parameters["pruning.amount"] == "0.5"
    assert parameters["quantization.keep_float"] == "[]"
    assert parameters["pruning.enabled"] == "false"
    assert (parameters["target.name"], parameters["samples.calibration_samples"]) == ("mobile", "64")
    assert parameters["environment.torch"] == "2.13.0"


def test_measures_are_the_numbers_and_an_interval_is_two() -> None:
    latency = {"compressed": {"median": 2.5}, "ratio_interval_95": [1.5, 2], "runs": 100, "doubts": [], "verdict": "x"}
    board = {"measured": {"latency_ms": {"ratio": 3.0}}, "identical": True, "nodes": None}
    manifest = _manifest(metrics={"latency_ms": latency, "huge": 10**400}, runtimes={"ssh://pi@board": board})
    assert record_of(manifest).measures == {
        "passed": 1.0,
        "latency_ms.compressed.median": 2.5,
        "latency_ms.ratio_interval_95.low": 1.5,
        "latency_ms.ratio_interval_95.high": 2.0,
        "runtimes.ssh___pi_board.measured.latency_ms.ratio": 3.0,
    }


def test_a_verdict_that_is_open_is_no_measure() -> None:
    assert record_of(_manifest(verdict=VerdictEntry(outcome="fail", budgets=()))).measures == {"passed": 0.0}
    assert record_of(_manifest(verdict=VerdictEntry(outcome="undecided", budgets=()))).measures == {}


def test_all_files_of_the_bundle_are_named() -> None:
    assert record_of(_manifest()).files == ("model.onnx", "recipe.toml", "manifest.json")
    assert record_of(_manifest(), signature="manifest.sig").files[-1] == "manifest.sig"


def test_names_that_become_alike_stay_apart() -> None:
    measures = record_of(_manifest(metrics={"a/b": 1, "a:b": 2, "a" * 300: 3, "a" * 299 + "b": 4})).measures
    assert sorted(measures.values()) == [1.0, 1.0, 2.0, 3.0, 4.0]


@given(st.dictionaries(st.text(), JSON, max_size=4), st.dictionaries(st.text(), JSON, max_size=4))
def test_whatever_a_stranger_wrote_is_told_in_what_a_server_takes(recipe: Any, metrics: Any) -> None:
    record = record_of(_manifest(recipe=recipe, metrics=metrics))
    for name in (*record.parameters, *record.measures):
        assert 0 < len(name) <= MAX_NAME
        assert {*name} <= ALLOWED
    assert all(len(text) <= MAX_TEXT for text in record.parameters.values())
    assert all(abs(value) < float("inf") for value in record.measures.values())
