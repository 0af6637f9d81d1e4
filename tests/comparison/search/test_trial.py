"""What a trial measured is what its manifest says, and comes back from JSON as it was."""

from __future__ import annotations

import json
from dataclasses import asdict

from edgecompress.bundle.reading import Bundle
from edgecompress.comparison.search.trial import Measures, SearchTrial
from tests.comparison.search.measures import measures


def test_the_measures_are_the_manifests(made: Bundle) -> None:
    found, told = Measures.of(made.manifest, "INT8"), made.manifest.metrics
    assert found.metric == told["metric"]["compressed"]
    assert found.metric_drop == told["metric"]["drop"]
    assert found.size_bytes == made.artifact.stat().st_size
    assert found.speedup == told["latency_ms"]["ratio"]
    assert [*found.speedup_interval_95] == told["latency_ms"]["ratio_interval_95"]
    assert found.outcome == made.manifest.verdict.outcome
    assert {*found.missed} == {check.budget for check in made.manifest.verdict.budgets if check.outcome == "fail"}
    assert found.objectives == (found.metric_drop, 1 / found.speedup, found.size_bytes)


def test_they_come_back_from_json(made: Bundle) -> None:
    for found in (Measures.of(made.manifest, "INT8"), measures(metric_drop_interval_95=None)):
        assert Measures.read(json.loads(json.dumps(asdict(found)))) == found


def test_a_trial_is_plain_data() -> None:
    trial = SearchTrial(number=3, settings={"pruning.amount": 0.5}, folder="ab", seconds=1.5, measures=measures())
    document = json.loads(json.dumps(trial.document()))
    assert document["settings"] == {"pruning.amount": 0.5}
    assert document["measures"]["size_bytes"] == 1000
    assert document["failure"] is None
