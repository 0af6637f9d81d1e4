"""The page of a search holds the front, asks nothing of the network, and runs nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from edgecompress.comparison.search.page import render_front
from edgecompress.comparison.search.result import result_of
from edgecompress.comparison.search.study import Known
from edgecompress.comparison.search.trial import SearchTrial
from edgecompress.targets import load_profile
from tests.comparison.search.measures import measures


def _trial(number: int, **given: object) -> SearchTrial:
    settings = {"quantization.observer": "mse", "quantization.adaround": True}
    return SearchTrial(number=number, settings=settings, folder=f"f{number}", seconds=1, **given)  # type: ignore[arg-type]


def _reported(folder: Path, *names: str) -> Path:
    """A folder with the reports of some bundles."""
    for name in names:
        (folder / "trials" / name).mkdir(parents=True)
        (folder / "trials" / name / "report.html").touch()
    return folder


def test_the_front_and_the_failures_are_in_it(tmp_path: Path) -> None:
    trials = [
        _trial(0, measures=measures(0.0, 2.0, 2000)),
        _trial(1, measures=measures(0.5, 3.0, 1000, title="<b>bold</b>")),
        _trial(2, measures=measures(9.0, 1.0, 3000)),
        _trial(3, failure="layer 'a<b' is gone; name another"),
    ]
    folder = _reported(tmp_path, "f0", "f1", "f2")
    found = result_of(Known(trials={trial.number: trial for trial in trials}), folder, load_profile("mobile"))
    page = render_front(found)
    above = page.partition("<h2>Beaten")[0]
    assert re.findall(r'<td><a href="trials/(f\d)/report.html">', above) == [f"f{number}" for number in found.front]
    assert "Trial 1 is chosen</span>: the best of 2 trials" in page
    assert "quantization.observer=&#34;mse&#34; quantization.adaround=true" in page
    assert "3: layer &#39;a&lt;b&#39; is gone; name another" in page
    assert "&lt;b&gt;bold" in page
    assert "<b>" not in page
    assert "Each leads to its report.<" in page
    assert "<script" not in page
    assert re.search(r'(?:src|href)="(?:https?:)?//', page) is None


def test_a_trial_whose_bundle_another_worker_has_is_no_link(tmp_path: Path) -> None:
    trials = {0: _trial(0, measures=measures(0.0, 2.0, 2000)), 1: _trial(1, measures=measures(0.5, 3.0, 1000))}
    page = render_front(result_of(Known(trials=trials), _reported(tmp_path, "f1"), load_profile("mobile")))
    assert set(re.findall(r'href="([^"]*)"', page)) == {"trials/f1/report.html"}
    assert re.search(r"<td>0(, chosen)?</td>", page) is not None
    assert len(re.findall("<circle", page)) == 3
    assert "if the bundle is in this folder; other workers have the others." in page


def test_a_chosen_trial_that_others_beat_stands_below_the_front(tmp_path: Path) -> None:
    missed = measures(0.0, 2.0, 1000, outcome="fail", missed=("max_latency_ms",))
    trials = {0: _trial(0, measures=missed), 1: _trial(1, measures=measures(0.0, 2.005, 1001))}
    found = result_of(Known(trials=trials), _reported(tmp_path, "f0", "f1"), load_profile("mobile"))
    page = render_front(found)
    assert (found.front, found.chosen, found.shown) == ((0,), 1, (0, 1))
    above = page.partition("<h2>Beaten")[0]
    assert re.findall(r'<td><a href="trials/(f\d)/report.html">', above) == ["f0", "f1"]
    assert "<h2>The front, and the chosen trial</h2>" in page
    assert "2 trials, 1 on the front" in page
    assert re.findall(r'<circle class="(\w+)"', page) == ["before", "after", "chosen"]


def test_the_page_tells_the_rule_the_metric_what_is_chosen_and_what_beat_the_others() -> None:
    """In words, which a reader of a printed page, or who sees no green, has, too."""
    trials = {
        0: _trial(0, measures=measures(0.0, 2.0, 2000, metric_name="miou")),
        1: _trial(1, measures=measures(0.5, 3.0, 1000, metric_name="miou")),
        2: _trial(2, measures=measures(9.0, 1.0, 1500, metric_name="miou")),
        3: _trial(3, measures=measures(9.5, 1.0, 3000, metric_name="miou")),
    }
    found = result_of(Known(trials=trials), Path("out"), load_profile("mobile"))
    assert (found.front, found.chosen) == ((0, 1), 1)
    page = render_front(replace(found, command="edgecompress compress nets.py:net"))
    assert "at least as good in the metric, the latency and the bytes" in page
    assert "Latencies whose 95 % intervals overlap count as equal" in page
    assert re.findall(r'<th class="num">(miou|metric)</th>', page) == ["miou", "miou"]
    assert re.findall(r"<td>(\d[^<]*)</td>\n<td>INT8", page) == ["0", "1, chosen", "2", "3"]
    assert re.findall(r"<td>([^<]*)</td></tr>", page) == ["1", "0, 1"]
    assert "Made again by <code>edgecompress compress nets.py:net</code>" in page


def test_a_search_without_a_trial_has_a_page_too() -> None:
    page = render_front(result_of(Known(), Path("out"), load_profile("mobile")))
    assert "No trial is chosen</span>: no trial has a bundle" in page
