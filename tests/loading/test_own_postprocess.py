"""What can be called with the outputs, and what cannot."""

from __future__ import annotations

from typing import Any

import pytest

from edgecompress.errors import RecipeError
from edgecompress.loading.own_postprocess import own_postprocess


def _with_a_limit(outputs: Any, limit: float = 0.5) -> Any:
    return outputs > limit


@pytest.mark.parametrize("function", [len, _with_a_limit, list, lambda *outputs: outputs])
def test_what_takes_outputs_is_one(function: Any) -> None:
    made = own_postprocess(function, "mine.py:post")
    assert (made.name, made.function is function) == ("mine.py:post", True)


@pytest.mark.parametrize("found", [3, "text", lambda: 1, lambda outputs, targets: 1])
def test_what_does_not_is_refused(found: Any) -> None:
    with pytest.raises(RecipeError) as caught:
        own_postprocess(found, "mine.py:post")
    assert str(caught.value) == (
        "postprocess 'mine.py:post' cannot be called with (outputs); give a function of the outputs"
    )
