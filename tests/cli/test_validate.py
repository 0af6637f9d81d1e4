"""What ``edgecompress validate`` says of figures that it did not measure."""

from __future__ import annotations

from edgecompress.bundle.measured_rows import HERE, RECORDED, MeasuredRow
from edgecompress.cli.validate import recorded_only, recorded_titles
from edgecompress.recipe.budgets import Budgets
from edgecompress.validation.budgets import judge
from edgecompress.validation.drops import Drop


def _row(measure: str, value: float | None, source: str, title: str | None = None) -> MeasuredRow:
    unit = "x" if measure == "speedup" else "%"
    return MeasuredRow(measure=measure, value=value, unit=unit, source=source, title=title)


def test_a_recorded_figure_is_told_with_what_measures_it() -> None:
    rows = [_row("accuracy", 97.8, RECORDED), _row("speedup", 2.0, RECORDED), _row("compression_ratio", 3.0, RECORDED)]
    assert [*recorded_only(rows)] == [
        "accuracy: recorded 97.80 %, not measured here; give --evaluation to measure it",
        "speedup: recorded 2.000 x, not measured here; give --original to measure it",
    ]
    assert [*recorded_only([_row("metric", 70.0, RECORDED, "mIoU")])] == [
        "mIoU: recorded 70.00 %, not measured here; give --evaluation to measure it"
    ]


def test_what_was_measured_or_is_not_known_needs_no_word() -> None:
    assert [*recorded_only([_row("accuracy", 97.8, HERE), _row("speedup", None, RECORDED)])] == []


def test_what_a_budget_is_kept_by_is_named_where_it_is_only_recorded() -> None:
    rows = [_row("accuracy", 97.8, RECORDED), _row("speedup", 2.0, RECORDED), _row("compression_ratio", 3.0, RECORDED)]
    values = {"accuracy_drop": 0.5, "speedup": 2.0}
    for asked, told in (
        (Budgets(max_accuracy_drop=1, min_speedup=1.5), ("accuracy", "speedup")),
        (Budgets(max_accuracy_drop=1), ("accuracy",)),
        (Budgets(max_accuracy_drop=0.1, min_speedup=1.5), ("speedup",)),  # what is missed opens no gate
        (Budgets(), ()),
    ):
        assert recorded_titles(rows, judge(asked, values)) == told
    complete = judge(Budgets(max_accuracy_drop=1), values).complete_without(["accuracy_drop"])
    assert recorded_titles(rows, complete) == ()  # the verdict says so itself
    assert recorded_titles([_row("accuracy", 97.8, HERE)], judge(Budgets(max_accuracy_drop=1), values)) == ()


def test_validate_and_compress_print_a_change_in_the_same_words() -> None:
    drop = Drop(before=80.0, after=79.0, unit="%", higher_is_better=True, interval_95=(0.25, 1.75))
    row = MeasuredRow(measure="accuracy_drop", value=1.0, unit="points", source=HERE, drop=drop)
    assert row.text == drop.words == "-1.00 points (-1.75 to -0.25)"
    assert row.entry == {
        "value": 1.0,
        "unit": "points",
        "source": HERE,
        "interval_95": [0.25, 1.75],
        "verdict": "worse",
    }
