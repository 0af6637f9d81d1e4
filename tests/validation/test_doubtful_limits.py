"""A limit that lets nearly everything pass is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgecompress.metrics.metric import Measure, named_measure
from edgecompress.recipe.budgets import Budgets
from edgecompress.validation.doubtful_limits import doubtful_factors, doubtful_loss

SHARE = replace(named_measure("top1"), name="scores.py:dice", unit="")
PERCENT = replace(SHARE, unit="%")


@pytest.mark.parametrize(
    ("budgets", "told"),
    [
        (Budgets(), []),
        (Budgets(min_speedup=0.95, min_compression_ratio=0.9), []),
        (Budgets(min_speedup=2.0, min_compression_ratio=4.0), []),
        (
            Budgets(min_speedup=0.5),
            ["min_speedup=0.5 passes an artifact 2 times slower than the float model; for 2 times faster write 2"],
        ),
        (
            Budgets(min_compression_ratio=0.3),
            [
                "min_compression_ratio=0.3 passes an artifact 3.33 times larger than the float model; for 3.33 times"
                " smaller write 3.33"
            ],
        ),
    ],
)
def test_a_share_in_the_place_of_a_factor(budgets: Budgets, told: list[str]) -> None:
    assert [*doubtful_factors(budgets)] == told


@pytest.mark.parametrize(
    ("measure", "limit", "before", "told"),
    [
        (
            SHARE,
            1.5,
            0.85,
            "max_metric_drop=1.5 cannot be missed if 'scores.py:dice', 0.85 before, is a share: the limit is in its own"
            " unit; write 0.015 for 1.5 points",
        ),
        (
            PERCENT,
            1.5,
            0.85,
            "'scores.py:dice' says that it is in percent, and is 0.85 % before: if that is a share, nothing can miss"
            " max_metric_drop=1.5; return 100 times as much",
        ),
        (SHARE, 0.015, 0.85, None),
        (SHARE, 1.5, 30.0, None),
        (SHARE, 1.5, None, None),
        (SHARE, None, 0.85, None),
        (PERCENT, 1.5, 85.0, None),
        (named_measure("miou"), 1.5, 0.85, None),
        (named_measure("psnr"), 1.0, 0.85, None),
        (named_measure("mae"), 1.0, 0.85, None),
    ],
)
def test_points_of_a_metric_that_seems_to_be_a_share(
    measure: Measure, limit: float | None, before: float | None, told: str | None
) -> None:
    assert [*doubtful_loss(measure, "max_metric_drop", limit, before)] == ([] if told is None else [told])
