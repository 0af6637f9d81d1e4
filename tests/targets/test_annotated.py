"""An effective profile as TOML with the source of each value: narrow, and the same profile when it is loaded."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.targets import effective_profile, load_profile, profile_names
from edgecompress.targets.annotated import annotated_toml
from edgecompress.targets.provenance import Value, explain_profile

ASSIGNMENTS = (
    "training.average_decay=none",
    "export.dynamic_axes.ids.1=length",
    'export.dynamic_axes."input.1".2=width',
    'quantization.keep_float=["features.0*", "classifier", "a layer with a very long name", "and \\"one\\" more"]',
)


@pytest.mark.parametrize("name", profile_names())
@pytest.mark.parametrize("assignments", [(), ASSIGNMENTS])
def test_it_loads_as_the_same_profile(name: str, assignments: tuple[str, ...], tmp_path: Path) -> None:
    if assignments and load_profile(name).recipe.quantization.enclose:  # which leaves nothing float
        assignments = (*assignments, "quantization.enclose=false")
    text = annotated_toml(explain_profile(name, assignments).values)
    (tmp_path / "copy.toml").write_text(text)
    assert load_profile(str(tmp_path / "copy.toml")) == effective_profile(name, assignments)
    assert max(map(len, text.splitlines())) <= 80


def test_every_value_has_its_source_on_its_line_or_above_it() -> None:
    lines = annotated_toml(explain_profile("edge", ASSIGNMENTS).values).splitlines()
    assert f"{'multiple = 8':<47} # edge" in lines
    assert lines[lines.index("keep_float = [") - 1] == "# --set:"


texts = st.text(st.characters(exclude_categories=["Cs"]))
plain = texts | st.integers(-(2**31), 2**31) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(texts, plain | st.lists(plain)))
def test_any_value_is_read_back_as_it_was(values: dict[str, Any]) -> None:
    text = annotated_toml([Value(path=("table", key), value=value, source="own") for key, value in values.items()])
    assert tomllib.loads(text).get("table", {}) == values
