"""Rows of a batch are chosen, and what all rows share stays whole."""

from __future__ import annotations

import torch

from edgecompress.training.rows import count_rows, some_rows


def test_rows_are_chosen_where_they_are() -> None:
    inputs = {"x": torch.arange(4.0), "scale": torch.ones(7)}
    chosen = some_rows(inputs, [2, 0])
    assert chosen["x"].tolist() == [2, 0]
    assert chosen["scale"] is inputs["scale"]
    assert some_rows(inputs, range(4))["x"] is inputs["x"]


def test_they_are_counted_by_the_first_input_that_has_any() -> None:
    assert count_rows({"scale": torch.ones(()), "x": torch.zeros(4, 2)}) == 4
    assert count_rows({"scale": torch.ones(())}) == 1
