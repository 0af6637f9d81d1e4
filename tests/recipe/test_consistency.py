"""Tables hold together where a rule that is written down here says so, whatever is drawn."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgecompress.errors import RecipeError
from edgecompress.recipe.consistency import (
    check_channels,
    check_enclosure,
    check_names,
    check_order,
    check_steps,
    check_texts,
)

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


@pytest.mark.parametrize("channels", [None, "rgb", "bgr", "gray"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_there_is_a_value_for_each_channel_or_one_for_all(channels: str | None, count: int) -> None:
    sound = count == 1 or (count == 3 and channels != "gray")
    assert _refused(check_channels, channels, {"images.std": [0.5] * count}) is not sound


def test_what_does_not_fit_the_channels_is_told() -> None:
    with pytest.raises(RecipeError, match=r"^'images\.std' has 2 values for colored pictures; give 1 or 3$"):
        check_channels("rgb", {"images.mean": [0.5], "images.std": [0.5, 0.5]})


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@example("a\u2028b")
@example("a\u2029b")
@example("a\x85b")
@example("a\x1cb")
def test_a_name_that_is_let_through_is_one_line_in_every_language(name: str) -> None:
    if not _refused(check_texts, "data.classes", [name]):
        assert name.splitlines() == [name]


@pytest.mark.parametrize("separator", [*"\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"])
def test_a_separator_of_lines_in_a_name_is_told(separator: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check_texts("data.classes", ["cat", f"dog{separator}wolf"])
    assert str(caught.value) == (
        f"'data.classes' has {f'dog{separator}wolf'!r}, which is no text of one line; rename the class, or its folder"
    )


@pytest.mark.parametrize("name", ["tabby cat", "Straße", "猫", "a\u00a0b", ""])
def test_text_of_one_line_is_a_name(name: str) -> None:
    check_texts("data.classes", [name])


@given(st.lists(st.integers(0, 4), max_size=4))
def test_nothing_is_named_twice(names: list[int]) -> None:
    assert _refused(check_names, "data.classes", names) is (len({*names}) < len(names))


def test_what_is_named_twice_is_told() -> None:
    with pytest.raises(RecipeError, match=r"^'data\.classes' names 'cat' twice; name each class once$"):
        check_names("data.classes", ["cat", "dog", "cat"])


@given(st.lists(st.just("conv"), max_size=1), st.sampled_from(["table", "measured"]))
def test_nothing_stays_float_where_all_is_enclosed(keep: list[str], placement: str) -> None:
    sound = not keep and placement == "table"
    assert _refused(check_enclosure, keep, placement) is not sound


def test_all_that_has_to_be_set_is_told_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        check_enclosure(["conv"], "measured")
    assert str(caught.value) == (
        "'quantization.enclose' leaves no operator float; set quantization.keep_float=[] and"
        " quantization.placement=table"
    )
