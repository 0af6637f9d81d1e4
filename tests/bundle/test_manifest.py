"""The manifest is canonical JSON, and a change to any byte of it shows."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.bundle.manifest import (
    FORMAT_VERSION,
    Manifest,
    TargetEntry,
    VerdictEntry,
    canonical,
    dump_manifest,
    file_entry,
    parse_manifest,
)
from edgecompress.errors import OutputError

MANIFEST = Manifest(
    format_version=FORMAT_VERSION,
    edgecompress_version="0.1.0",
    target=TargetEntry(name="mobile", strategy="quantization", reason="much smaller model"),
    recipe={"seed": 0},
    files={"model.onnx": file_entry(b"onnx")},
    data={"evaluated_samples": 3},
    metrics={"size_bytes": {"original": 8, "compressed": 2, "ratio": 4.0}},
    verdict=VerdictEntry(outcome="pass", budgets=()),
    environment={"cpu": "Prozeßor"},
)
CONTENT = dump_manifest(MANIFEST)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def test_it_comes_back_as_it_was() -> None:
    assert parse_manifest(CONTENT) == MANIFEST


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_canonical_form_does_not_depend_on_the_order_of_keys(document: dict[str, object]) -> None:
    backwards = dict(reversed(list(document.items())))
    assert canonical(document) == canonical(backwards)
    assert json.loads(canonical(document)) == document
    assert canonical(document).isascii()


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_a_change_of_one_byte_is_refused(position: int, difference: int) -> None:
    changed = bytearray(CONTENT)
    changed[position] ^= difference
    with pytest.raises(OutputError):
        parse_manifest(bytes(changed))


@given(st.binary(max_size=50))
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(OutputError):
        parse_manifest(content)


def test_a_newer_format_is_refused_with_the_fix() -> None:
    newer = canonical({**json.loads(CONTENT), "format_version": FORMAT_VERSION + 1})
    with pytest.raises(OutputError, match="update it"):
        parse_manifest(newer)
