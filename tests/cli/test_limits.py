"""Errors about limits name the options that were typed."""

from __future__ import annotations

import pytest

from edgecompress.cli.limits import named_as_options
from edgecompress.errors import DataError, RecipeError


def test_what_was_typed_is_named_as_it_was_typed() -> None:
    with pytest.raises(RecipeError) as caught, named_as_options({"max_size_mb": "small", "min_metric": None}):
        raise RecipeError("got 'small' in 'budgets.max_size_mb'; budgets.min_metric is the recipe's")
    assert str(caught.value) == "got 'small' in '--max-size-mb'; budgets.min_metric is the recipe's"


def test_other_errors_pass_as_they_are() -> None:
    told = DataError("'max_size' is no name")
    for limits in ({"max_size_mb": 1.0}, {"max_size_mb": None}):
        with pytest.raises(DataError) as caught, named_as_options(limits):
            raise told
        assert caught.value is told
