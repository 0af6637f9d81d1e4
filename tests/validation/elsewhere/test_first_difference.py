"""A scale that was planted is found at its own node, and so is a place that computes one node in another way."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgecompress.arrays import Inputs
from edgecompress.data.batches import Batch
from edgecompress.exporters.finish import finish
from edgecompress.metrics.metric import named_measure
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import ALL_CORES, open_session, run_session, to_bytes
from edgecompress.validation.elsewhere.comparison import compare_places
from edgecompress.validation.elsewhere.first_difference import first_difference
from edgecompress.validation.elsewhere.judged import Scoring
from edgecompress.validation.elsewhere.place import Answer, Handling, Place
from edgecompress.validation.elsewhere.places import NamedPlace
from edgecompress.validation.elsewhere.runtimes import qnn
from tests.exporters.graphs import draw, graph
from tests.heard import Heard
from tests.quantization.layers import BATCHES, DATA, enclose

PADS = "pads=[1,1,1,1]"
BODY = (
    f"a = Conv<{PADS}>(x, w) s = Sigmoid(a) m = Mul(a, s) b = Conv<{PADS}>(m, w) r = Add(b, a) y = Conv<{PADS}>(r, v)"
)
FLOATS = graph(BODY, w=draw(4, 4, 3, 3), v=draw(4, 4, 3, 3, seed=1))
ARTIFACT = finish(enclose(FLOATS, Quantization(enabled=True, enclose=True), BATCHES, Progress()).model, FLOATS)
INNER = ["a", "s", "m", "b", "r"]


class _Host:
    """ONNX Runtime on this machine, with a file that was changed on the way there."""

    def __init__(self, planted: str | None = None) -> None:
        self.planted = planted

    def run(self, model: Path, batches: Sequence[Inputs]) -> Answer:
        proto = onnx.load(model)
        if self.planted is not None:
            _plant(proto, self.planted)
        session = open_session(proto.SerializeToString(), ALL_CORES)
        names = [output.name for output in proto.graph.output]
        return Answer(outputs=[dict(zip(names, run_session(session, each), strict=True)) for each in batches])


def _plant(proto: onnx.ModelProto, name: str) -> None:
    """The pair of what a node writes has a tenth of its scale, and cuts most values off."""
    (written,) = (node.output[0] for node in proto.graph.node if node.name == name)
    (scale,) = (node.input[1] for node in proto.graph.node if written in node.input)
    (constant,) = (each for each in proto.graph.initializer if each.name == scale)
    constant.CopyFrom(numpy_helper.from_array(np.float32(0.1) * numpy_helper.to_array(constant), scale))


def _planted(name: str) -> bytes:
    proto = onnx.load_from_string(ARTIFACT)
    _plant(proto, name)
    content: bytes = proto.SerializeToString()
    return content


def _found(artifact: bytes, place: Place, floats: bytes | None) -> str:
    found = first_difference(artifact, floats, {"x": DATA[0]}, place)
    assert found is not None
    assert found.sqnr_db < 10
    assert found.input_db > 20
    return found.name


@pytest.mark.parametrize("name", INNER)
def test_a_planted_scale_is_found_at_its_node(name: str) -> None:
    assert _found(_planted(name), _Host(), to_bytes(FLOATS)) == name


@pytest.mark.parametrize("name", INNER)
def test_a_place_that_reads_another_scale_is_found_without_the_float_model(name: str) -> None:
    assert _found(ARTIFACT, _Host(name), None) == name


def test_a_sound_file_loses_little_anywhere() -> None:
    found = first_difference(ARTIFACT, to_bytes(FLOATS), {"x": DATA[0]}, _Host())
    assert found is not None
    assert found.input_db - found.sqnr_db < 15


def test_values_are_held_against_those_before_a_transpose_that_has_another_name_in_the_file() -> None:
    floats = graph(f"a = Conv<{PADS}>(x, w) t = Transpose<perm=[0,1,3,2]>(a) y = Sigmoid(t)", w=draw(4, 4, 3, 3))
    artifact = enclose(floats, Quantization(enabled=True, enclose=True), BATCHES, Progress()).model
    for node in artifact.graph:
        node.name = "t/moved" if node.name == "t" else node.name
    found = first_difference(to_bytes(artifact), to_bytes(floats), {"x": DATA[0]}, _Host())
    assert found is not None
    assert found.sqnr_db > 30


@pytest.mark.parametrize("name", INNER)
def test_a_run_on_an_npu_warns_of_the_node(name: str) -> None:
    assert _warned(_planted(name), to_bytes(FLOATS), _Host()).startswith(
        f"the artifact answers otherwise on mine: {name!r} ("
    )
    assert _warned(ARTIFACT, None, _Host(name)).startswith(f"the artifact answers otherwise on mine: {name!r} (")


def test_a_run_of_a_sound_file_warns_of_nothing() -> None:
    assert _warned(ARTIFACT, to_bytes(FLOATS), _Host()) == ""


def _warned(artifact: bytes, floats: bytes | None, place: Place) -> str:
    named = NamedPlace(name="mine", told="runtime 'mine'", handling=Handling(unit="NPU"), place=place)
    batch, heard = Batch(inputs={"x": DATA[0]}), Heard()
    scoring = Scoring(measure=named_measure("top1"), floats=floats)
    compare_places(artifact, batch, [batch], [named], heard, scoring=scoring)
    return "\n".join(heard.lines)


def test_a_file_without_pairs_has_nothing_to_watch() -> None:
    assert first_difference(to_bytes(FLOATS), None, {"x": DATA[0]}, _Host()) is None


def test_a_place_that_fails_finds_nothing() -> None:
    class Failing:
        def run(self, model: Path, batches: Sequence[Inputs]) -> Answer:
            return Answer(failure="no")

    assert first_difference(ARTIFACT, None, {"x": DATA[0]}, Failing()) is None


@pytest.mark.skipif(find_spec("onnxruntime_qnn") is None, reason="pip install 'edgecompress[qnn]'")
@pytest.mark.parametrize("name", INNER)
def test_a_planted_scale_is_caught_in_the_simulator(name: str) -> None:
    assert _found(_planted(name), qnn.find_place(""), to_bytes(FLOATS)) == name


def test_what_is_read_is_a_copy() -> None:
    inputs = {"x": DATA[0].copy()}
    first_difference(ARTIFACT, None, inputs, _Host())
    np.testing.assert_array_equal(inputs["x"], DATA[0])
