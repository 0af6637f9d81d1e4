"""Names of modules in a recipe."""

from __future__ import annotations

import pytest

from edgecompress.errors import RecipeError
from edgecompress.modules.names import check_names, covers
from tests.networks import ConvNet, seeded


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        ("layer1", "layer1.0.conv", True),
        ("layer1", "layer10.conv", False),
        ("*.conv", "layer1.0.conv", True),
        ("layer1.0.conv", "layer1.0", False),
    ],
)
def test_a_name_stands_for_what_is_in_it(pattern: str, name: str, found: bool) -> None:
    assert covers(pattern, name) == found


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(RecipeError, match=r"'feature', which the model does not have; did you mean 'features'\?"):
        check_names(["feature"], seeded(ConvNet))


def test_the_key_is_named_in_which_it_stands() -> None:
    with pytest.raises(RecipeError, match=r"^'low_rank.protect' names 'feature'"):
        check_names(["feature"], seeded(ConvNet), "low_rank.protect")
