"""Damage: what becomes of a file on its way, and what somebody may write into it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

EXTREMES = (b"\xff" * 4, b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\xff" * 7 + b"\x7f", b"\x00" * 8, b"\x80" + b"\x00" * 7)
"""What stands for lengths, offsets and signs at their limits."""
JUNK: tuple[Any, ...] = (None, True, -1, 0, 2**63, 10**400, 1e308, "", "x" * 5000, "../up", [], {}, [[[[]]]], {"a": {}})


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The bytes of a file, damaged in one to four places."""
    for _ in range(draw(st.integers(1, 4))):
        content = draw(_damaged_once(content))
    return content


@st.composite
def _damaged_once(draw: st.DrawFn, content: bytes) -> bytes:
    start = draw(st.integers(0, max(len(content) - 1, 0)))
    length = draw(st.one_of(st.integers(1, 8), st.integers(1, max(len(content), 1))))
    before, span, after = content[:start], content[start : start + length], content[start + length :]
    match draw(st.sampled_from(("flip", "overwrite", "extreme", "cut", "end", "zero", "repeat", "move"))):
        case "flip":
            return before + bytes(byte ^ (1 << draw(st.integers(0, 7))) for byte in span[:8]) + span[8:] + after
        case "overwrite":
            return before + draw(st.binary(min_size=1, max_size=16)) + span[16:] + after
        case "extreme":
            extreme = draw(st.sampled_from(EXTREMES))
            return before + extreme + content[start + len(extreme) :]
        case "cut":
            return before + after
        case "end":
            return before
        case "zero":
            return before + bytes(len(span)) + after
        case "repeat":
            return before + span * draw(st.sampled_from((2, 3, 50))) + after
        case _:
            return after + before + span


@st.composite
def spoiled_json(draw: st.DrawFn, content: bytes) -> bytes:
    """A JSON document; one to three of its values, at any depth, are gone or others."""
    document = json.loads(content)
    for _ in range(draw(st.integers(1, 3))):
        document = draw(_spoiled(document))
    return json.dumps(document).encode()


@st.composite
def _spoiled(draw: st.DrawFn, value: Any) -> Any:
    keys: list[Any] = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    if not keys or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(JUNK) | st.floats())
    key = draw(st.sampled_from(keys))
    copy = value.copy()
    match draw(st.sampled_from(("deeper", "deeper", "deeper", "drop", "add"))):
        case "deeper":
            copy[key] = draw(_spoiled(value[key]))
        case "drop":
            del copy[key]
        case _ if isinstance(copy, dict):
            copy[draw(st.text(max_size=8))] = draw(st.sampled_from(JUNK))
        case _:
            copy.append(draw(st.sampled_from(JUNK)))
    return copy
