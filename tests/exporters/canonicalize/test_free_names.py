"""Whatever names a user's model has, those that later steps make up are free in it."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import edgecompress.exporters
from edgecompress.calibration import FBGEMM, QNNPACK, QuantParams
from edgecompress.data.batches import Batches
from edgecompress.exporters.canonicalize import prepare_for_integers
from edgecompress.exporters.canonicalize.free_names import MADE_UP, OF_ALL, free_names
from edgecompress.modules.named_inputs import input_names
from edgecompress.progress import Progress
from edgecompress.quantization.bias_correction import correct_biases
from edgecompress.quantization.lowering import Lowering
from edgecompress.quantization.placement import place
from edgecompress.quantization.weights import weight_grids
from edgecompress.runtime import execute, to_bytes
from tests.exporters.graphs import draw

TAILS = ("q", "dq", "scale", "clip", "mean", "shift", "corrected", "weight", "bias", "peak", "weight/q", "bias/scale")
VALUES, NODES = ("x", "a", "b", "y", "z"), ("n0", "n1", "n2", "n3", "n4")
X = draw(2, 4, 8, 8)


def _network(values: dict[str, str], nodes: dict[str, str]) -> ir.Model:
    """Three convolutions, a ReLU and an If that reads one of them, with other names."""
    proto = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["" : 20]>
    main (float[N,4,8,8] x) => (float[N,4,8,8] y, float[N,4,8,8] z) {
        a = Conv<pads=[1,1,1,1]>(x, w, c)
        r = Relu(a)
        b = Conv<pads=[1,1,1,1]>(r, w, c)
        y = Conv<pads=[1,1,1,1]>(b, w)
        z = If (go) <
            then_branch = t () => (float[N,4,8,8] s) { s = Abs(b) },
            else_branch = e () => (float[N,4,8,8] f) { f = Neg(b) }>
    }""")
    arrays: dict[str, NDArray[Any]] = {"w": draw(4, 4, 3, 3, seed=1) / 4, "c": draw(4, seed=2), "go": np.array(True)}
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    known = {str(value.name): value for value in (*model.graph.inputs, *model.graph.initializers.values())}
    known |= {str(value.name): value for node in model.graph.all_nodes() for value in node.outputs}
    for name, value in known.items():
        value.name = values.get(name, name)
    for node, name in zip(model.graph, NODES, strict=True):
        node.name = nodes[name]
    return model


PLAIN = {name: name for name in (*VALUES, "w", "c", "s", "r")}, {name: name for name in NODES}
RENAMINGS = st.lists(
    st.tuples(
        st.booleans(),  # of a value, or of a node
        st.integers(0, len(PLAIN[0]) - 1),
        st.sampled_from([*PLAIN[0], *NODES, "zero_point"]),
        st.lists(st.sampled_from(TAILS), max_size=2),
    ),
    max_size=8,
)


def _renamed(renamings: list[tuple[bool, int, str, list[str]]]) -> tuple[dict[str, str], dict[str, str]]:
    """Names; some are another one with something behind it that a step makes up."""
    values, nodes = (dict(names) for names in PLAIN)
    for of_value, index, base, tails in renamings:
        names = values if of_value else nodes
        kind = list(names)[index % len(names)]
        name = "/".join([values.get(base, nodes.get(base, base)), *tails])
        if name not in names.values():
            names[kind] = name
    return values, nodes


def _lowering(model: ir.Model) -> Lowering:
    placement = place(model.graph)
    params = {
        name: QuantParams(scale=np.array(0.05, np.float32), zero_point=np.array(128, np.uint8), axis=None)
        for name in placement.pairs
    }
    grids = weight_grids(model.graph, placement, QNNPACK, per_channel=True)
    return Lowering(model=model, floats=model, scheme=FBGEMM, placement=placement, params=params, weights=grids)


def _batches(model: ir.Model, x: NDArray[np.float32]) -> Batches:
    return Batches(role="calibration", source=lambda: [{str(model.graph.inputs[0].name): x}], inputs=input_names(model))


def _require_unique(model: ir.Model) -> None:
    """No two values of one name in sight of each other, and no two nodes."""
    onnx.checker.check_model(to_bytes(model))
    nodes = Counter(str(node.name) for node in model.graph)
    assert nodes.most_common(1)[0][1] == 1


@given(RENAMINGS)
def test_all_names_that_are_made_up_are_free(renamings: list[tuple[bool, int, str, list[str]]]) -> None:
    names = _renamed(renamings)
    model = _network(*names)
    before = execute(model, {names[0]["x"]: X})
    prepared = prepare_for_integers(model).model
    kept = [[str(value.name) for value in values] for values in (prepared.graph.inputs, prepared.graph.outputs)]
    assert kept == [[names[0]["x"]], [names[0]["y"], names[0]["z"]]]
    for array, wanted in zip(execute(prepared, {names[0]["x"]: X}), before, strict=True):
        np.testing.assert_allclose(array, wanted, rtol=1e-4, atol=1e-4)
    lowering = _lowering(prepared)
    quantized = lowering.write()
    _require_unique(quantized)
    assert sum(node.op_type == "QuantizeLinear" for node in quantized.graph) >= 3
    corrected = correct_biases(lowering, _batches(prepared, X), Progress()).write()
    _require_unique(corrected)
    execute(corrected, {names[0]["x"]: X})


def test_an_inner_name_gives_way_and_the_change_is_told() -> None:
    result = free_names(_network(PLAIN[0] | {"a": "attn", "b": "attn/q"}, PLAIN[1]))
    values = {str(value.name) for node in result.model.graph for value in node.outputs}
    assert {"attn", "attn/q_"} <= values
    assert "attn/q" not in values
    (told,) = result.changes
    assert told.startswith("'attn/q' is called 'attn/q_' inside")


def test_names_of_inputs_and_outputs_stay_and_those_that_they_stand_in_the_way_of_give_way() -> None:
    plain, nodes = PLAIN
    inner = free_names(_network(plain | {"y": "b/q"}, nodes)).model.graph
    assert [value.name for value in inner.outputs] == ["b/q", "z"]
    assert "b_" in {value.name for node in inner for value in node.outputs}
    both = free_names(_network(plain | {"y": "x/q"}, nodes)).model
    assert [value.name for value in (*both.graph.inputs, *both.graph.outputs)] == ["x", "x/q", "z"]
    assert [str(node.name) for node in both.graph if node.op_type == "Identity"] == ["x_"]


@pytest.mark.parametrize("name", ["attn/query", "a/add", "w/bias", "other/q"])
def test_other_names_stay(name: str) -> None:
    assert free_names(_network(PLAIN[0] | {"c": name}, PLAIN[1])).changes == ()


def _made_up(source: str) -> list[str]:
    """What follows the last inserted value in the f-strings that are handed to what names nodes and values."""
    tree = list(ast.walk(ast.parse(source)))
    calls = [call for call in tree if isinstance(call, ast.Call)]
    naming: list[ast.expr] = [
        call for call in calls if ast.unparse(call.func).rpartition(".")[2] in ("node", "initializer", "reduced")
    ]
    set_to = [each for each in tree if isinstance(each, ast.Assign) and "name" in ast.unparse(each.targets[0])]
    naming += [each.value for each in set_to]
    texts = [text for named in naming for text in ast.walk(named) if isinstance(text, ast.JoinedStr)]
    return [f"base{text.values[-1].value!s}" for text in texts if isinstance(text.values[-1], ast.Constant)]


def test_the_table_knows_every_name_that_a_step_makes_up() -> None:
    folder = Path(str(edgecompress.exporters.__file__)).parent
    endings = [ending for path in folder.rglob("*.py") for ending in _made_up(path.read_text())]
    assert len(endings) > 20
    assert [ending for ending in endings if not MADE_UP.search(ending) and not OF_ALL.match(ending)] == []
