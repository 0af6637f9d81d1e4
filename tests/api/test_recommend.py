"""Targets are ranked for what Python hands over."""

from __future__ import annotations

import pytest

import edgecompress
from edgecompress.comparison.trials import Trial
from tests.networks import ConvNet, images, seeded


def test_limits_decide_and_come_back_as_overrides() -> None:
    advice = edgecompress.recommend(max_size_mb=3, train_data=False, overrides=["images.size=[32, 32]"])
    assert advice.overrides == ("images.size=[32, 32]", "budgets.max_size_mb=3")
    assert advice.best is advice.found.ranked[0].profile
    assert not advice.best.recipe.trains


def test_what_put_the_first_target_there_is_told() -> None:
    advice = edgecompress.recommend(cpu="rpi5", max_latency_ms=5, train_data=False)
    assert advice.because == "raspberry-pi-5 is first because of cpu rpi5 and train_data=False."


def test_a_limit_that_nothing_keeps_leaves_no_target() -> None:
    advice = edgecompress.recommend(
        max_size_mb=1e-9, model=seeded(ConvNet), calibration=images(), overrides=["cpu.runs=10"], train_data=False
    )
    assert advice.best is None
    assert "max_size_mb" in {rejected.constraint for rejected in advice.found.rejected}
    assert advice.measured is not None
    assert 0 < advice.measured.size_mb < 1


def test_a_target_that_fails_says_why_in_python_s_words(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Trial(failure="distillation needs training data; give train (--train)")
    monkeypatch.setattr("edgecompress.api.recommend.try_profile", lambda *_: failed)
    quick = ["cpu.runs=10", "export.simplify=false"]
    network, data = seeded(ConvNet), images()
    advice = edgecompress.recommend(model=network, calibration=data, measure=True, overrides=quick, train_data=False)
    told = {trial.failure for trial in advice.trials.values()}
    assert told == {"distillation needs training data; give train"}
    assert {row["measured"]["failure"] for row in advice.document()["ranked"]} == told
