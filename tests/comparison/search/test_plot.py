"""The plot shows every trial where its figures are, and leads to its report."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

from edgecompress.comparison.search.plot import plot
from edgecompress.comparison.search.result import SearchResult, result_of
from edgecompress.comparison.search.study import Known
from edgecompress.comparison.search.trial import Measures, SearchTrial
from edgecompress.targets import load_profile
from tests.comparison.search.measures import measures


def _found(*given: Measures, title: str = "INT8") -> SearchResult:
    trials = {
        number: SearchTrial(number=number, settings={}, folder=f"f{number}", seconds=1, measures=each)
        for number, each in enumerate(given)
    }
    return result_of(Known(trials=trials), Path("out"), load_profile("mobile"))


def _drawn(found: SearchResult) -> ElementTree.Element:
    return ElementTree.fromstring(plot(found))


def _circles(found: SearchResult) -> dict[str, tuple[str, float, float, float]]:
    """Kind, place and radius of each point by what it is called."""
    circles: dict[str, tuple[str, float, float, float]] = {}
    for circle in _drawn(found).iter("circle"):
        x, y, radius = (float(circle.attrib[key]) for key in ("cx", "cy", "r"))
        circles[str(circle.findtext("title")).partition(":")[0]] = (circle.attrib["class"], x, y, radius)
    return circles


def test_a_point_is_further_right_if_slower_lower_if_worse_and_larger_if_it_has_more_bytes() -> None:
    circles = _circles(_found(measures(0.0, 2.0, 2000), measures(1.0, 4.0, 1000), measures(2.0, 1.5, 3000)))
    kinds = {name: circle[0] for name, circle in circles.items()}
    assert {kinds.pop(name) for name in ("trial 0", "trial 1")} == {"chosen", "after"}
    assert kinds == {"original": "before", "trial 2": "beaten"}
    assert circles["trial 1"][1] < circles["trial 0"][1] < circles["trial 2"][1] < circles["original"][1]
    assert circles["trial 0"][2] < circles["trial 1"][2] < circles["trial 2"][2]
    assert circles["trial 1"][3] < circles["trial 0"][3] < circles["trial 2"][3] < circles["original"][3]


def test_every_point_leads_to_its_report(tmp_path: Path) -> None:
    for name in ("f0", "f1"):
        (tmp_path / "trials" / name).mkdir(parents=True)
        (tmp_path / "trials" / name / "report.html").touch()
    found = replace(_found(measures(), measures(3.0, 1.0, 9000)), folder=tmp_path)
    links = [link.attrib["href"] for link in _drawn(found).iter("a")]
    assert sorted(links) == ["trials/f0/report.html", "trials/f1/report.html"]


def test_all_of_it_is_within_the_picture() -> None:
    found = _found(measures(0.0, 1.1, speedup_interval_95=(0.5, 9.0)), measures(40.0, 3.0, 10))
    for name, (_, x, y, radius) in _circles(found).items():
        assert radius <= x <= 720 - radius, name
        assert radius <= y <= 360 - radius, name


def test_every_point_has_its_number_where_none_of_its_intervals_is() -> None:
    found = _found(measures(0.0, 2.0, 2000), measures(0.5, 3.0, 1000), measures(9.0, 1.0, 3000))
    drawn = list(_drawn(found).iter())
    labels = [text for text in drawn if text.tag == "text"][4:]
    assert {text.text for text in labels} == {"0", "1", "2"}
    assert max(map(drawn.index, (line for line in drawn if line.tag == "path"))) < min(map(drawn.index, labels))
    for name, (_, x, y, _) in _circles(found).items():
        for text in labels:
            if name == f"trial {text.text}":
                left = text.attrib["text-anchor"] == "end"
                near = float(text.attrib["x"]) - x
                assert near < -2 if left else near > 2
                assert float(text.attrib["y"]) < y - 2
                assert 12 < float(text.attrib["x"]) < 720 - (0 if left else 12)


def test_the_axis_of_an_error_grows_downwards() -> None:
    found = _found(
        measures(0.5, metric=1.5, original_metric=1.0, metric_unit="m", higher_is_better=False, size_bytes=1000)
    )
    written = [text.text for text in _drawn(found).iter("text")]
    assert written[:2] == ["1.000 m", "2.000 m"]


def test_without_a_trial_there_is_no_plot() -> None:
    assert plot(_found()) == ""
