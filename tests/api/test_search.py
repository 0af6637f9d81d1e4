"""The search in Python: what it asks for, in its own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edgecompress
from tests.networks import ConvNet, images, seeded

DATA: dict[str, Any] = {"calibration": images(seed=1), "evaluation": images(seed=2)}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"trials": 0}, "trials is 0; give a whole number of at least 1"),
        ({"trials": "many"}, "trials is 'many'; give a whole number of at least 1"),
        ({"budget_time": "2"}, r"a time budget is '2'; give one as 2h, 90m or 1h30m \(budget_time\)"),
        ({"evaluation": None}, "trials are made with calibration data and measured with evaluation data; give both"),
        ({"target": "mobil"}, "did you mean 'mobile'"),
    ],
)
def test_a_mistake_is_told_before_anything_is_done(given: dict[str, Any], told: str, tmp_path: Path) -> None:
    arguments = {"target": "mobile", **DATA, "output": tmp_path / "out", **given}
    with pytest.raises(edgecompress.InputError, match=told):
        edgecompress.search(seeded(ConvNet), **arguments)
    assert not (tmp_path / "out").exists()


def test_without_a_number_and_a_time_there_are_24_trials_and_with_a_time_no_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def keep(*_: Any, trials: int | None, seconds: float | None, folder: Path, **__: Any) -> None:
        kept.append((trials, seconds, folder))

    kept: list[tuple[int | None, float | None, Path]] = []
    monkeypatch.setattr("edgecompress.api.search.search_recipes", keep)
    edgecompress.search(seeded(ConvNet), "mobile", **DATA)
    edgecompress.search(seeded(ConvNet), "mobile", **DATA, budget_time="1m")
    edgecompress.search(seeded(ConvNet), "mobile", **DATA, budget_time="1m", trials=3, output="out")
    folder = Path("convnet-search")
    assert kept == [(24, None, folder), (None, 60.0, folder), (3, 60.0, Path("out"))]
