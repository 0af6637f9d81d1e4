"""A shortcut that skips pixels and adds channels becomes a convolution with the same values."""

from __future__ import annotations

import numpy as np
import pytest

from edgecompress.exporters.canonicalize.pad_shortcuts import convolve_pad_shortcuts
from tests.exporters.graphs import Array, draw, graph, run

X = draw(2, 4, 8, 8)
END = np.iinfo(np.int64).max


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def _shortcut(body: str, **constants: np.ndarray) -> tuple[list[str], Array, tuple[str, ...]]:
    given = {"starts": _ints(0, 0), "ends": _ints(END, END), "axes": _ints(2, 3), "steps": _ints(2, 2)}
    model = graph(body, **{**given, "pads": _ints(0, 2, 0, 0, 0, 1, 0, 0), **constants})
    result = convolve_pad_shortcuts(model)
    np.testing.assert_array_equal(run(result.model, X), run(model, X))
    return [node.op_type for node in result.model.graph], run(result.model, X), result.changes


def test_one_slice_and_a_pad_are_a_convolution() -> None:
    operators, y, changes = _shortcut("s = Slice(x, starts, ends, axes, steps) y = Pad(s, pads)")
    assert operators == ["Conv"]
    assert changes == ("y: Slice and Pad became Conv",)
    np.testing.assert_array_equal(y[:, 2:6], X[:, :, ::2, ::2])
    assert not y[:, :2].any()
    assert not y[:, 6:].any()


def test_a_slice_for_each_axis_is_as_good() -> None:
    operators, y, _ = _shortcut(
        "r = Slice(x, zero, end, rows, three) s = Slice(r, zero, end, columns, two) y = Pad(s, pads)",
        zero=_ints(0),
        end=_ints(END),
        rows=_ints(-2),
        columns=_ints(3),
        two=_ints(2),
        three=_ints(3),
    )
    assert operators == ["Conv"]
    np.testing.assert_array_equal(y[:, 2:6], X[:, :, ::3, ::2])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("starts", _ints(1, 0)),
        ("ends", _ints(7, END)),
        ("axes", _ints(1, 3)),
        ("steps", _ints(-1, 2)),
        ("pads", _ints(0, 2, 1, 0, 0, 1, 0, 0)),
        ("pads", _ints(0, -1, 0, 0, 0, 1, 0, 0)),
    ],
)
def test_another_slice_or_pad_stays(name: str, value: np.ndarray) -> None:
    constants = {name: value}
    if name == "steps":
        constants |= {"starts": _ints(7, 0), "ends": _ints(-END, END)}
    operators, _, changes = _shortcut("s = Slice(x, starts, ends, axes, steps) y = Pad(s, pads)", **constants)
    assert operators == ["Slice", "Pad"]
    assert changes == ()


@pytest.mark.parametrize(
    "body",
    [
        "s = Slice(x, starts, ends, axes, steps) y = Pad(s, pads, seven)",
        's = Slice(x, starts, ends, axes, steps) y = Pad<mode="edge">(s, pads)',
        "s = Slice(x, starts, ends, axes, steps) p = Pad(s, pads) t = Pad(s, pads) y = Add(p, t)",
        "y = Pad(x, pads)",
    ],
)
def test_what_is_more_than_a_shortcut_stays(body: str) -> None:
    operators, _, changes = _shortcut(body, seven=np.array(7, np.float32))
    assert "Conv" not in operators
    assert changes == ()


def test_a_weight_that_would_swell_the_file_is_not_made() -> None:
    operators, _, _ = _shortcut(
        "s = Slice(x, starts, ends, axes, steps) y = Pad(s, pads)", pads=_ints(0, 2000, 0, 0, 0, 0, 0, 0)
    )
    assert operators == ["Slice", "Pad"]
