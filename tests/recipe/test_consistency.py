"""Tables hold together where a rule that is written down here says so, whatever is drawn."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.errors import RecipeError
from edgecompress.recipe.consistency import check_order, check_steps

STAGES = {"cut": 0, "thin": 0, "teach": 1, "round": 2}
NAMES = st.sampled_from([*STAGES, "foreign"])


def _refused(check: Callable[..., None], *args: object, **kwargs: object) -> bool:
    try:
        check(*args, **kwargs)
    except RecipeError:
        return True
    return False


@given(st.lists(NAMES, max_size=5), st.sets(st.sampled_from([*STAGES])), st.sets(st.just("foreign")))
def test_an_order_holds_each_enabled_technique_once_by_stages(
    order: list[str], enabled: set[str], options: set[str]
) -> None:
    stages = [STAGES[name] for name in order if name in enabled]
    sound = {*enabled, *options} <= {*order} and len({*order}) == len(order) and stages == sorted(stages)
    assert _refused(check_order, order, sorted(enabled), options, STAGES) is not sound


@given(
    st.sets(st.sampled_from(["pruning", "distillation"])),
    st.integers(1, 4),
    st.integers(0, 4),
    st.booleans(),
    st.booleans(),
)
def test_training_can_do_what_the_techniques_ask(
    techniques: set[str], steps: int, epochs: int, cache: bool, reads_layers: bool
) -> None:
    enough = "pruning" not in techniques or epochs == 0 or epochs >= steps
    learns = "distillation" not in techniques or epochs > 0
    sound = enough and learns and not (cache and reads_layers)
    asked = {"steps": steps, "epochs": epochs, "cache": cache, "reads_layers": reads_layers}
    assert _refused(check_steps, sorted(techniques), **asked) is not sound


def test_the_first_pair_that_is_out_of_order_is_named() -> None:
    order = ["round", "teach", "cut"]
    first, second = next(iter(pairwise(order)))
    with pytest.raises(RecipeError, match=f"^'{first}' stands before '{second}' in 'order'"):
        check_order(order, order, (), STAGES)
