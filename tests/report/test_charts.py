"""Charts show their figures to scale, and say them in words."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from edgecompress.report.charts import (
    SHOWN_LAYERS,
    WIDTH,
    damage_by_layer,
    distribution,
    shares,
    sizes_by_layer,
    values_and_range,
)


def _rects(chart: str, kind: str) -> Iterator[tuple[float, float]]:
    """Width and height of each shape of a class."""
    for rect in ElementTree.fromstring(chart).iter("rect"):
        if rect.get("class") == kind:
            yield float(rect.attrib["width"]), float(rect.attrib["height"])


def _words(chart: str) -> str:
    root = ElementTree.fromstring(chart)
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.findtext("title")
    return str(root.get("aria-label"))


def _size(layer: str, before: int, after: int) -> dict[str, object]:
    return {"layer": layer, "kind": "Conv", "original_bytes": before, "compressed_bytes": after}


def test_bars_are_as_long_as_the_bytes() -> None:
    chart = sizes_by_layer([_size("a", 4000, 1000), _size("b", 2000, 2000)])
    (first, _), (second, _) = _rects(chart, "before")
    assert first == pytest.approx(2 * second, abs=0.1)
    assert next(_rects(chart, "after"))[0] == pytest.approx(first / 4, abs=0.1)
    assert "a 4.0 kB to 1.0 kB; b 2.0 kB to 2.0 kB" in _words(chart)


def test_small_layers_are_one_bar() -> None:
    chart = sizes_by_layer([_size(f"layer{place}", 1000, 250) for place in range(SHOWN_LAYERS + 3)])
    assert len(list(_rects(chart, "after"))) == SHOWN_LAYERS + 1
    assert "3 others 3.0 kB to 0.8 kB" in _words(chart)


def test_every_call_is_in_a_histogram() -> None:
    chart = distribution([2.0] * 30 + [500.0], [1.0] * 31)
    assert "medians 2.00 ms and 1.00 ms" in _words(chart)
    told = [str(rect.findtext("title")) for rect in ElementTree.fromstring(chart).iter("rect")]
    assert [title.split(" calls")[0] for title in told] == ["before: 30", "before: 1", "after: 31"]


def test_equal_times_have_a_width() -> None:
    assert list(_rects(distribution([1.0, 1.0], [1.0, 1.0]), "after"))


def test_damage_is_as_high_as_its_decibels_and_the_worst_stand_out() -> None:
    chart = damage_by_layer([{"layer": "a", "sqnr_db": 40.0}, {"layer": "b", "sqnr_db": 20.0}], ["b"])
    ((_, good),), ((_, bad),) = _rects(chart, "after"), _rects(chart, "worst")
    assert good == pytest.approx(2 * bad, abs=0.1)
    assert "worst b with 20.0 dB" in _words(chart)


def test_the_range_lies_where_it_was_chosen() -> None:
    made = {"value": "r", "least": -1.0, "greatest": 3.0, "low": 0.0, "high": 2.0, "counts": [1, 0, 5, 2]}
    chart = values_and_range({**made, "outside": 0.25})
    root = ElementTree.fromstring(chart)
    span = next(rect for rect in root.iter("rect") if rect.get("class") == "range")
    width = float(root.attrib["viewBox"].split()[2])
    assert float(span.attrib["x"]) == pytest.approx(width / 4, abs=0.1)
    assert float(span.attrib["width"]) == pytest.approx(width / 2, abs=0.1)
    assert len(list(_rects(chart, "after"))) == 3
    assert "25 % outside" in _words(chart)


def test_shares_fill_the_bar() -> None:
    kernels = [{"numbers": "integer", "share": 0.7}, {"numbers": "float", "share": 0.2}]
    chart = shares([*kernels, {"numbers": "conversion", "share": 0.1}])
    assert next(_rects(chart, "integer"))[0] == pytest.approx(0.7 * WIDTH, abs=0.1)
    assert sum(next(_rects(chart, kind))[0] for kind in ("integer", "conversion", "float")) == pytest.approx(WIDTH)


def test_names_are_escaped() -> None:
    assert "<b>" not in sizes_by_layer([_size("<b>", 1, 1)])
    assert "<b>" not in damage_by_layer([{"layer": "<b>", "sqnr_db": 1.0}], [])
