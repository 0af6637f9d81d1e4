"""Moves of channels become one Gather or Slice: the same values at the same places, bit for bit."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.exporters.canonicalize.channel_shuffles import gather_channels
from tests.exporters.canonicalize.sequences import operators
from tests.exporters.graphs import draw, run


def _model(body: str, shape: str, **constants: list[int]) -> ir.Model:
    text = f'<ir_version: 10, opset_import: ["" : 20]> main (float[{shape}] x) => (float[a, b, c, d] y) {{ {body} }}'
    proto = onnx.parser.parse_model(text)
    for name, values in constants.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(values, np.int64), name))
    for node in proto.graph.node:
        node.name = node.output[0]
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto, data_prop=True))


@given(
    groups=st.integers(1, 4),
    each=st.integers(1, 4),
    sides=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    order=st.permutations([1, 2]),
    half=st.booleans(),
)
def test_a_shuffle_is_one_operator_and_the_same_bits(
    groups: int, each: int, sides: tuple[int, int], order: list[int], half: bool
) -> None:
    channels, tail = groups * each, "t = Relu(u) " + ("h, y = Split<axis=1>(t, parts)" if half else "y = Relu(t)")
    model = _model(
        f"r = Reshape(x, apart) s = Transpose<perm={[0, *order, 3, 4]}>(r) u = Reshape(s, whole) {tail}",
        f"N, {channels}, {sides[0]}, {sides[1]}",
        apart=[-1, groups, each, *sides],
        whole=[-1, channels, *sides],
        parts=[channels - channels // 2, channels // 2],
    )
    if half and channels < 2:
        return
    gathered, x = gather_channels(model).model, draw(3, channels, *sides)
    np.testing.assert_array_equal(run(gathered, x), run(model, x))
    identity = order == [1, 2] or 1 in (groups, each)
    assert operators(gathered)[0] == ("Relu" if identity else "Gather")
    assert "Reshape" not in operators(gathered)


@pytest.mark.parametrize("batch", ["N", "2"])
def test_halves_that_are_dealt_out_are_read_each_at_once(batch: str) -> None:
    model = _model(
        "r = Reshape(x, apart) a = Slice(r, zero, once, two) b = Slice(r, once, twice, two) e = Squeeze(a, two) "
        "o = Squeeze(b, two) p = Relu(o) y = Concat<axis=1>(e, p)",
        f"{batch}, 6, 3, 5",
        apart=[-1, 3, 2, 3, 5],
        zero=[0],
        once=[1],
        twice=[2],
        two=[2],
    )
    result = gather_channels(model)
    assert operators(result.model) == ["Gather", "Gather", "Relu", "Concat"]
    chosen = [value.const_value for name, value in result.model.graph.initializers.items() if "channels" in name]
    assert [tensor.numpy().tolist() for tensor in chosen if tensor is not None] == [[0, 2, 4], [1, 3, 5]]
    assert [node.name for node in result.model.graph][:2] == ["e", "o"]
    assert result.changes == tuple(f"{name}: 3 moves of channels became one Gather" for name in "eo")
    x = draw(2, 6, 3, 5)
    np.testing.assert_array_equal(run(result.model, x), run(model, x))


def test_channels_that_follow_each_other_are_one_slice() -> None:
    model = _model(
        "r = Reshape(x, apart) a = Gather<axis=1>(r, first) y = Relu(a)",
        "N, 6, 3, 5",
        apart=[-1, 2, 3, 3, 5],
        first=1,  # type: ignore[arg-type]
    )
    result = gather_channels(model)
    assert operators(result.model) == ["Slice", "Relu"]
    x = draw(2, 6, 3, 5)
    np.testing.assert_array_equal(run(result.model, x), x[:, 3:].clip(min=0))


@pytest.mark.parametrize(
    ("body", "shape", "constants"),
    [
        (  # a space to depth moves within channels
            "r = Reshape(x, apart) s = Transpose<perm=[0,3,5,1,2,4]>(r) u = Reshape(s, whole) y = Relu(u)",
            "N, 4, 4, 4",
            {"apart": [-1, 4, 2, 2, 2, 2], "whole": [-1, 16, 2, 2]},
        ),
        (  # a turn of each picture
            "r = Transpose<perm=[0,1,3,2]>(x) s = Reshape(r, whole) y = Relu(s)",
            "N, 4, 4, 4",
            {"whole": [-1, 4, 4, 4]},
        ),
        (  # samples would be channels
            "r = Reshape(x, flat) s = Transpose<perm=[1,0,2,3]>(x) u = Reshape(s, whole) y = Relu(u)",
            "2, 2, 3, 3",
            {"flat": [-1], "whole": [2, 2, 3, 3]},
        ),
        (
            "r = Reshape(x, apart) s = Reshape(r, whole) y = Relu(s)",
            "N, 4, H, 4",
            {"apart": [0, 2, 2, -1, 4], "whole": [0, 4, -1, 4]},
        ),
        ("r = Shape(x) s = Reshape(x, r) t = Transpose<perm=[0,1,2,3]>(s) y = Relu(t)", "N, 4, 4, 4", {}),
        ("a, b = Split<axis=1, num_outputs=2>(x) y = Add(a, b)", "N, 4, 4, 4", {}),
    ],
)
def test_other_moves_stay(body: str, shape: str, constants: dict[str, list[int]]) -> None:
    model = _model(body, shape, **constants)
    before = [kind for kind in operators(model) if not (kind == "Reshape" and "flat" in constants)]
    result = gather_channels(model)
    assert [kind for kind in operators(result.model) if kind in before] == before
    assert result.changes == ()


def test_moves_that_callers_see_stay() -> None:
    model = _model(
        "r = Reshape(x, apart) y = Reshape(r, whole)", "N, 4, 2, 2", apart=[-1, 2, 2, 2, 2], whole=[-1, 4, 2, 2]
    )
    assert operators(gather_channels(model).model) == ["Reshape", "Reshape"]


@pytest.mark.parametrize(
    ("body", "constants"),
    [
        ("r = Gather<axis=0>(x, pair) s = Gather<axis=1>(r, chosen) y = Relu(s)", {"pair": [0, 1], "chosen": [0, 2]}),
        (
            "r = Slice(x, zero, two) s = Gather<axis=1>(r, chosen) y = Relu(s)",
            {"zero": [0], "two": [2], "chosen": [0, 2]},
        ),
        ("r = Slice(x, end, far) s = Gather<axis=1>(r, chosen) y = Relu(s)", {"end": [-2], "far": [99], "chosen": [0]}),
        (
            "r = Reshape(x, apart) t = Transpose<perm=[1,0,2,3,4,5]>(r) g = Gather<axis=0>(t, first)"
            " s = Reshape(g, whole) y = Relu(s)",
            {"apart": [-1, 2, 2, 2, 8, 8], "first": [0], "whole": [-1, 4, 8, 8]},
        ),
        (
            "r = Reshape(x, apart) t = Transpose<perm=[0,2,1,3,4]>(r) s = Reshape(t, whole) y = Relu(s)",
            {"apart": [1, 2, 2, 8, 8], "whole": [1, 4, 8, 8]},
        ),
        (
            "r = Slice(x, once, four, once) s = Slice(r, zero, zero, once) y = Relu(s)",
            {"once": [1], "four": [4], "zero": [0]},
        ),
    ],
)
def test_what_depends_on_how_many_samples_there_are_stays(body: str, constants: dict[str, list[int]]) -> None:
    model = _model(body, "N, 4, 8, 8", **constants)
    before = operators(model)
    assert operators(gather_channels(model).model) == before


def test_both_halves_of_a_split_are_read() -> None:
    model = _model(
        "r = Reshape(x, apart) s = Transpose<perm=[0,2,1,3,4]>(r) u = Reshape(s, whole)"
        " h, k = Split<axis=1, num_outputs=2>(u) p = Relu(k) y = Concat<axis=1>(h, p)",
        "N, 8, 3, 3",
        apart=[-1, 2, 4, 3, 3],
        whole=[-1, 8, 3, 3],
    )
    result = gather_channels(model)
    assert operators(result.model) == ["Gather", "Gather", "Relu", "Concat"]
    assert len({node.name for node in result.model.graph}) == 4
    x = draw(3, 8, 3, 3)
    np.testing.assert_array_equal(run(result.model, x), run(model, x))
