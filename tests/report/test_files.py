"""The report tells what the manifest tells, in a page that needs nothing else."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgecompress
from edgecompress.recipe.budgets import Budgets
from edgecompress.report.masks import mask_colour
from edgecompress.report.page import render
from edgecompress.validation.answers import read_answer
from edgecompress.validation.budgets import judge
from tests.networks import ConvNet, images, seeded

VOID = {"meta", "br", "hr", "img", "link", "input"}


class _Balanced(HTMLParser):
    """Collects the tags, and fails where one is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("report") / "bundle"
    options = ("quantization.keep_float=['classifier']", "export.simplify=false")
    return edgecompress.compress(
        seeded(ConvNet), calibration=images(), evaluation=images(seed=1), output=output, overrides=options
    ).path


def test_the_page_is_whole_and_needs_nothing_else(bundle: Path) -> None:
    page = (bundle / "report.html").read_text()
    parser = _Balanced()
    parser.feed(page)
    assert parser.open == []
    assert not parser.seen & {"script", "link", "iframe"}
    assert all(source.startswith("data:image/") for source in re.findall(r'src="([^"]*)"', page))
    assert not re.search(r"https?://|@import|url\(", page)


def test_the_report_has_the_manifest_s_measures_and_every_step(bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text())
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert report["metrics"] == manifest["metrics"]
    assert report["verdict"] == manifest["verdict"]
    assert [step["name"] for step in report["steps"]] == ["capture", "export", "canonicalize", "quantize"]


def test_what_was_left_float_is_named_with_its_reason(bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text())
    refusals = report["steps"][-1]["refusals"]
    assert [(refusal["name"], refusal["kind"]) for refusal in refusals] == [
        ("features.0", "Conv"),
        ("features.2/relu", "Relu"),
        ("classifier", "Gemm"),
    ]
    page = (bundle / "report.html").read_text()
    assert "the recipe keeps it float" in page
    assert "over so few channels floats are faster" in page


def test_the_title_has_model_metric_and_day(bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text())
    assert report["model"] == "convnet"
    assert abs(date.fromisoformat(report["made_on"]) - datetime.now(UTC).date()) <= timedelta(days=1)
    report |= {"made_on": "2026-11-29", "model": "<net>"}
    report["metrics"]["metric"] |= {"original": 77.5, "compressed": 76.25, "drop": 1.25}
    page = render(report)
    assert page.startswith("<!doctype html>")
    assert "<title>&lt;net&gt; for mobile: accuracy, top-1 76.25 %, float 77.50 %, 2026-11-29</title>" in page
    heading = page.partition("<h1>")[2].partition("</header>")[0]
    assert heading.startswith("&lt;net&gt; for <code>mobile</code>")
    assert "<p>accuracy, top-1 76.25 %, float 77.50 %; 2026-11-29</p>" in heading
    report["metrics"]["metric"] |= {"name": "mine.py:boxes", "original": None, "compressed": None, "drop": None}
    del report["made_on"], report["model"]  # a report of before
    assert "<title>a model for mobile: boxes not measured</title>" in render(report)


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        ([0.5, 2.0], '<b>-1.25 points</b>top-1 accuracy\n<span class="dim">(-2.00 to -0.50 points at 95 %)</span>'),
        ([-1, 3.5], '<b>no difference</b>top-1 accuracy\n<span class="dim">(-3.50 to +1.00 points at 95 %)</span>'),
        (None, "<b>-1.25 points</b>top-1 accuracy\n\n"),
    ],
)
def test_a_drop_has_its_interval_and_chance_is_no_drop(bundle: Path, interval: list[float] | None, shown: str) -> None:
    report = json.loads((bundle / "report.json").read_text())
    stage = report["stages"][-1]
    assert stage["metric_drop_interval_95"] == report["metrics"]["metric"]["drop_interval_95"] is not None
    values = {"original": 77.5, "compressed": 76.25, "drop": 1.25, "drop_interval_95": interval}
    report["metrics"]["metric"] |= values
    stage |= {"metric": 76.25, "metric_drop_interval_95": interval}
    report["stages"] = [report["stages"][0] | {"metric": 77.5}, stage]
    page = render(report)
    assert shown in page
    steps = page.partition("What each step gave")[2].partition("</table>")[0]
    *_, change, _ = re.findall(r'<td class="num">(.*?)</td>', steps)
    assert change == ("no difference" if interval == [-1, 3.5] else "-1.25")


def test_names_are_escaped(bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text())
    report["target"]["name"] = "<script>alert(1)</script>"
    assert "<script>" not in render(report)


def test_nothing_measured_and_nothing_right_can_be_shown(bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text())
    del report["metrics"]["metric"]  # as in bundles of before
    report["metrics"]["accuracy"] = {"original": 0.0, "compressed": 0.0, "drop": 0.0}
    assert "0.00 %" in render(report)
    report["metrics"]["accuracy"] = {"original": None, "compressed": None, "drop": None}
    assert "no labelled evaluation data was given" in render(report)


def _class(name: str, before: float | None, after: float | None) -> dict[str, Any]:
    drop = None if before is None or after is None else before - after
    return {"name": name, "before": before, "after": after, "drop": drop}


def test_the_classes_of_the_run_are_in_the_report_and_the_worst_in_the_manifest(bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text())
    drops = [change["drop"] for change in report["classes"]]
    assert drops == sorted(drops, reverse=True)
    assert report["metrics"]["metric"]["worst_class"] == report["classes"][0]
    labels = {int(label) for _, batch in images(seed=1) for label in batch}
    assert {int(change["name"]) for change in report["classes"]} == labels


def test_classes_are_shown_in_the_order_of_their_losses(bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text())
    names = [f"<{name}>" for name in "abcdefghijkl"]
    report["classes"] = [
        *(_class(name, 90.0, 70.0 + place) for place, name in enumerate(names)),
        _class("z", None, 9.0),
    ]
    page = render(report)
    parser = _Balanced()
    parser.feed(page)
    assert parser.open == []
    shown = page.partition("Class by class")[2]
    places = [shown.index(f"&lt;{name}&gt;") for name in "abcdefghijkl"]
    assert places == sorted(places)
    assert "3 classes more" in shown
    assert "-20.00</td>" in shown
    assert "does not count" in shown
    del report["classes"]  # a report of before
    assert "Class by class" not in render(report)


def test_a_loss_that_reads_as_none_is_not_red(bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text())
    report["classes"] = [_class("lost", 90.0, 89.99), _class("kept", 90.0, 89.9999)]
    shown = render(report).partition("Class by class")[2].partition("<h2>")[0]
    assert '<td class="num fail">-0.01</td>' in shown
    assert '<td class="num">0.00</td>' in shown


def _answer(value: Any) -> dict[str, Any]:
    answer = read_answer(value)
    return {**answer.entry, **({"mask": "data:image/png;base64,AA"} if answer.kind == "mask" else {})}


BOX = {"boxes": np.array([[0.0, 0, 4, 4]]), "labels": np.array([3]), "scores": np.array([0.5])}


@pytest.mark.parametrize(("names", "shown"), [(["sky", "<road>"], True), ([], False)])
def test_the_colours_of_masks_are_named_where_the_names_are_known(bundle: Path, names: list[str], shown: bool) -> None:
    report = json.loads((bundle / "report.json").read_text())
    report["recipe"]["data"]["classes"] = names
    masks = {side: _answer(np.eye(8, dtype=int)) for side in ("before", "after", "target")}
    example = {"index": 4, "sqnr_db": 12.5, "picture": None, "size": None, "difference": None, **masks}
    example |= {"value_before": 75.0, "value_after": 25.0, "loss": 50.0}
    report["answers"] = {"samples": 9, "lost": 1, "won": 0, "unvalued": 0, "examples": [example]}
    page = render(report)
    assert ('<span class="key" style="background: rgb(0, 0, 0)"></span>sky' in page) is shown
    assert (f'<span class="key" style="background: {mask_colour(1)}"></span>&lt;road&gt;' in page) is shown
    del report["recipe"]["data"]  # a report of before
    assert 'class="key" style' not in render(report)


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("<a> cat", "a dog", ["<q>&lt;a&gt; cat</q>", "<q>a dog</q>"]),
        (np.array([0.5, np.nan]), np.array([0.25, 1.0]), ["<td>0.5, no number", "<td>0.25, 1"]),
        (np.eye(8, dtype=int), np.zeros((8, 8), int), ['alt="before: 8 x 8 places"', 'alt="after: 8 x 8 places"']),
        (BOX, BOX, ["<title>class 3, 50 %</title>", 'class="box before"', 'class="box after"', 'class="box target"']),
        (2, 7, ["class 2", "class 7"]),
    ],
)
@pytest.mark.parametrize("valued", [True, False])
def test_answers_of_any_kind_are_shown_side_by_side(
    bundle: Path, before: Any, after: Any, shown: list[str], valued: bool
) -> None:
    report = json.loads((bundle / "report.json").read_text())
    example = {"index": 4, "sqnr_db": 12.5, "picture": "data:image/png;base64,AA", "size": [8, 8], "difference": None}
    values = {"value_before": 75.0, "value_after": 25.0, "loss": 50.0}
    example |= values if valued else dict.fromkeys(values)
    example |= {"before": _answer(before), "after": _answer(after), "target": _answer(before)}
    report["answers"] = {"samples": 9, "lost": 1, "won": 0, "unvalued": 0 if valued else 9, "examples": [example]}
    page = render(report)
    parser = _Balanced()
    parser.feed(page)
    assert parser.open == []
    part = page.partition("Answers that changed")[2].partition("<h2>Steps")[0]
    assert all(words in part for words in shown)
    assert ("-50.00 points" in part) is ("1 got worse" in part) is valued
    assert ("12.5 dB" in part) is ("whose outputs agree least" in part) is not valued
    del report["answers"]  # a report of before
    assert "agree least" not in render(report)


def test_a_speedup_that_noise_hides_is_not_shown_as_one(bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text())
    report["metrics"]["latency_ms"] |= {"ratio": 0.33, "ratio_interval_95": [0.24, 1.06]}
    report["verdict"] = judge(Budgets(min_speedup=1), {"speedup": 0.33}, {"speedup": (0.24, 1.06)}).entry
    for stage in report["stages"]:
        stage["times_ms"] = [1.0, 9.0] * 10
    page = render(report)
    assert '<span class="badge undecided">too noisy to say</span>' in page
    assert "<b>too noisy to say</b>" in page
    assert "slower" not in page
    assert "missed" not in page


@pytest.mark.parametrize(
    ("ratio", "interval", "shown"),
    [
        (3.67, [2.17, 5.57], "<b>3.67x faster (2.17-5.57)</b>"),
        (0.5, [0.4, 0.625], "<b>2.00x slower (1.60-2.50)</b>"),
        (3.67, [3.6, 3.74], '<b>3.67x</b>faster\n<span class="dim">(speedup 3.60 to 3.74 at 95 %)</span>'),
        (1.0, [0.995, 1.005], '<b>no difference</b>\n<span class="dim">(speedup 0.99 to 1.00 at 95 %)</span>'),
    ],
)
def test_a_speedup_with_a_wide_interval_is_shown_with_it(
    bundle: Path, ratio: float, interval: list[float], shown: str
) -> None:
    report = json.loads((bundle / "report.json").read_text())
    report["metrics"]["latency_ms"] |= {"ratio": ratio, "ratio_interval_95": interval}
    page = render(report)
    assert shown in page
    assert ("(at 95 %; too wide for one figure)" in page) is (interval[1] / interval[0] > 1.2)


def test_other_cpus_are_shown_only_where_some_were_asked(bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text())
    assert "Other CPUs" not in render(report)
    figures = {"sqnr_db": 43.1, "max_abs_error": 0.5, "samples": 9, "onnxruntime": "1.27.0", "failure": None}
    report["cpus"] = {
        "haswell": {**figures, "identical": False, "top1_agreement": 0.75},
        "cortex-a72": {**figures, "identical": True, "top1_agreement": None},
        "nehalem": {**dict.fromkeys(figures), "identical": False, "failure": "qemu-x86_64 died of <SIGSEGV>"},
    }
    page = render(report)
    parser = _Balanced()
    parser.feed(page)
    assert parser.open == []
    assert "75.00 %" in page
    assert "43.1 dB" in page
    assert "bit-identical" in page
    assert "did not run: qemu-x86_64 died of &lt;SIGSEGV&gt;" in page
    assert "lost there" not in page
    report["cpus"]["cortex-a72"] |= {"alike": 0.5, "lost": [f"<y>[:, {index}]" for index in range(7)]}
    page = render(report)
    assert "50.00 %" in page
    assert "<code>&lt;y&gt;[:, 4]</code> and 2 more" in page


def test_the_worst_slice_is_named(bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text())
    worst = report["metrics"]["parity"]["compressed"]["worst_slice"]
    assert worst["sqnr_db"] < 200
    assert f"<code>{worst['name']}</code>" in render(report)
    del report["metrics"]["parity"]["compressed"]["worst_slice"]  # a report of before
    assert "agrees least" not in render(report)


def test_what_accelerators_could_run_is_shown_where_it_was_counted(bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text())
    assert report["mobile"]["accelerators"].keys() == {"nnapi", "coreml_neural_network", "coreml_ml_program"}
    report["mobile"]["accelerators"]["nnapi"]["unsupported_operators"] = ["custom:<Thing>"]
    assert "custom:&lt;Thing&gt;" in render(report)
    report["mobile"] = {"accelerators": {}, "failure": "no <tools>"}
    assert "left out: no &lt;tools&gt;" in render(report)
    report["mobile"] = {}
    assert "Phones" not in render(report)


def test_the_browser_is_shown_where_it_was_asked(bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text())
    assert "<h2>Browser" not in render(report)
    figures = {"sqnr_db": 41.5, "max_abs_error": 0.25, "top1_agreement": 0.75, "samples": 4, "failure": None}
    names = {"browser": "Chrome/156", "onnxruntime_web": "1.30.0"}
    report["browser"] = {**figures, **names, "outcome": "ran", "identical": False}
    page = render(report)
    assert "41.5 dB agreement" in page
    assert "75.00 %" in page
    report["browser"] |= {"top1_agreement": None, "alike": 0.25, "lost": ["<y>", "z"]}
    page = render(report)
    assert "25.00 % of the samples agree to 25 dB" in page
    assert "<code>&lt;y&gt;</code> and 1 more" in page
    report["browser"] = {**report["browser"], "outcome": "failed", "failure": "<b>"}
    assert "failed: &lt;b&gt;" in render(report)


def test_each_stage_stands_next_to_the_one_before(bundle: Path) -> None:
    report = json.loads((bundle / "report.json").read_text())
    assert [stage["name"] for stage in report["stages"]] == ["original", "canonicalize", "quantize"]
    first, last = report["stages"][0], report["stages"][-1]
    size, accuracy = report["metrics"]["size_bytes"], report["metrics"]["accuracy"]
    assert (first["size_bytes"], last["size_bytes"]) == (size["original"], size["compressed"])
    assert (first["accuracy"], last["accuracy"]) == (accuracy["original"], accuracy["compressed"])
    assert {len(stage["times_ms"]) for stage in report["stages"]} == {report["metrics"]["latency_ms"]["runs"]}


def test_the_layers_are_in_the_report(bundle: Path) -> None:
    diagnosis = json.loads((bundle / "report.json").read_text())["diagnosis"]
    assert [each["layer"] for each in diagnosis["damages"]] == ["features.0", "features.3", "classifier"]
    assert {each["layer"] for each in diagnosis["sizes"]} >= {"features.0", "features.3", "classifier"}
    assert {each["operator"] for each in diagnosis["kernels"]} >= {"QLinearConv"}
    assert [each["value"] for each in diagnosis["ranges"]]


def test_without_labels_agreement_stands_in_for_accuracy(tmp_path: Path) -> None:
    unlabelled = [image for image, _ in images()]
    bundle = edgecompress.compress(
        seeded(ConvNet),
        calibration=unlabelled,
        evaluation=unlabelled,
        output=tmp_path / "bundle",
        overrides=["export.simplify=false", "quantization.adaround=false", "report.examples=0"],
    )
    page = (bundle.path / "report.html").read_text()
    assert "no labelled evaluation data was given" in page
    assert "of the samples agree with the float model to 25 dB" in page
    assert "same top class" not in page
    assert "Not counted: nothing shows that the first output holds scores" in page
    assert "data:image" not in page
    report = json.loads((bundle.path / "report.json").read_text())
    report["metrics"]["parity"]["compressed"]["top1_agreement"] = 0.5  # as where evaluation.class_axis says so
    assert "In its place: the same top class as the float model for 50.0 %" in render(report)
    report["metrics"]["parity"]["compressed"]["top1_agreement"] = 0.99999
    assert "for 99.9 % of the samples" in render(report)
    assert "same top class 99.99 %" in render(report)
