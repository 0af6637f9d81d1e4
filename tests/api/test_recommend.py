"""Targets are ranked for what Python hands over."""

from __future__ import annotations

import edgecompress
from tests.networks import ConvNet, images, seeded


def test_limits_decide_and_come_back_as_overrides() -> None:
    advice = edgecompress.recommend(max_size_mb=3, train_data=False, overrides=["images.size=[32, 32]"])
    assert advice.overrides == ("images.size=[32, 32]", "budgets.max_size_mb=3")
    assert advice.best is advice.found.ranked[0].profile
    assert not advice.best.recipe.trains


def test_a_limit_that_nothing_keeps_leaves_no_target() -> None:
    advice = edgecompress.recommend(
        max_size_mb=1e-9, model=seeded(ConvNet), calibration=images(), overrides=["cpu.runs=10"], train_data=False
    )
    assert advice.best is None
    assert "max_size_mb" in {rejected.constraint for rejected in advice.found.rejected}
    assert advice.measured is not None
    assert 0 < advice.measured.size_mb < 1
