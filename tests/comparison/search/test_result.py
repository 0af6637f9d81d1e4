"""What a study amounts to: its front, and what did not come to be."""

from __future__ import annotations

import json
from pathlib import Path

from edgecompress.comparison.search.result import result_of
from edgecompress.comparison.search.study import Known
from edgecompress.comparison.search.trial import Measures, SearchTrial
from edgecompress.targets import load_profile
from tests.comparison.search.measures import measures


def _trial(number: int, found: Measures | None, failure: str | None = None) -> SearchTrial:
    return SearchTrial(number=number, settings={}, folder=f"f{number}", seconds=1, measures=found, failure=failure)


def test_the_trials_stand_in_their_order_and_the_front_by_its_metric() -> None:
    trials = [
        _trial(7, measures(0.0, 1.5, original_ms=1.0)),
        _trial(2, measures(2.0, 3.0, original_ms=3.0)),
        _trial(4, measures(1.0, 2.0, original_ms=8.0)),
        _trial(5, measures(1.0, 1.2, original_ms=4.0)),
        _trial(6, None, "no layer; name one"),
    ]
    known = Known(trials={trial.number: trial for trial in trials}, running=frozenset({"f9"}))
    found = result_of(known, Path("out"), load_profile("mobile"))
    assert [trial.number for trial in found.trials] == [2, 4, 5, 6, 7]
    assert found.front == (7, 4, 2)
    assert found.original_ms == 3.5
    assert [trial.number for trial in found.failed] == [6]
    assert (found.running, found.target) == (1, "mobile")
    document = json.loads(json.dumps(found.document()))
    assert (document["front"], document["chosen"], document["knee"]) == ([7, 4, 2], found.chosen, found.knee)
    assert found.trial(6).failure == "no layer; name one"


def test_without_a_trial_there_is_no_front() -> None:
    found = result_of(Known(), Path("out"), load_profile("mobile"))
    assert (found.front, found.knee, found.chosen, found.original_ms) == ((), None, None, None)
    assert found.reason == "no trial has a bundle"
