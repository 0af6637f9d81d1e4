"""Names that no target has lead to one, or to why there is none."""

from __future__ import annotations

import pytest

from edgecompress.errors import RecipeError
from edgecompress.targets import load_profile
from edgecompress.targets.inheritance import profile_names
from edgecompress.targets.meant import MEANT, NONE_FOR, suggestion


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("phone", "android"),
        ("Pixel 8 Pro", "android"),
        ("real-time", "realtime"),
        ("pixel8", "android"),
        ("iphone-15", "mobile"),
        ("arm64", "mobile"),
        ("Mobile", "mobile"),
        ("rpi4", "raspberry-pi-4"),
        ("Raspberry Pi 5", "raspberry-pi-5"),
        ("x86_64", "mini-pc"),
        ("wasm", "browser"),
        ("Snapdragon 855", "android"),
        ("openvino", "openvino-cpu"),
    ],
)
def test_a_device_is_told_its_target(name: str, target: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_profile(name)
    assert str(caught.value) == f"unknown target {name!r}; give {target!r} (profile_names() shows all)"


@pytest.mark.parametrize("name", ["Snapdragon 8 Gen 3", "hexagon", "Snapdragon 888"])
def test_a_chip_with_an_npu_is_told_a_target_for_each_unit(name: str) -> None:
    with pytest.raises(RecipeError, match=r"give 'snapdragon' for its NPU, 'android' for its CPU \(profile_names"):
        load_profile(name)


@pytest.mark.parametrize("name", NONE_FOR)
def test_a_device_that_no_target_is_for_is_told_why(name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_profile(name)
    told = NONE_FOR[name].replace("--target", "target").replace("targets list", "profile_names()")  # as in Python
    assert str(caught.value) == f"unknown target {name!r}; {told}"


def test_a_profile_in_another_format_is_told_the_right_one() -> None:
    with pytest.raises(RecipeError) as caught:
        load_profile("my.yaml")
    assert str(caught.value) == "unknown target 'my.yaml'; profiles are TOML: write my.toml with extends = 'mobile'"


def test_every_target_that_is_told_is_there_and_no_word_stands_twice() -> None:
    assert MEANT.keys() <= {*profile_names()}
    words = [word for names in MEANT.values() for word in names] + [*NONE_FOR]
    assert len(words) == len({*words})
    assert suggestion("what is that", profile_names()) == ""
