"""OpenVINO runs the INT8 files in integers and answers as ONNX Runtime does; whatever goes wrong there is one line.

Where it is not installed, a module that runs ONNX Runtime under its name shows what is made of an answer.
"""

from __future__ import annotations

import importlib
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest

import edgecompress
from edgecompress.bundle.reading import read_bundle
from edgecompress.cli import main
from edgecompress.data.batches import Batch
from edgecompress.data.splits import Streams
from edgecompress.errors import RecipeError
from edgecompress.exporters.finish import finish
from edgecompress.loading.sources import open_batches
from edgecompress.pipeline.fold import convert
from edgecompress.recipe.tables import Quantization, Recipe
from edgecompress.runtime import to_bytes
from edgecompress.techniques.context import Context
from edgecompress.validation.elsewhere.comparison import compare_places
from edgecompress.validation.elsewhere.places import find_places
from edgecompress.validation.elsewhere.results import Elsewhere, PlaceResult
from edgecompress.validation.elsewhere.runtimes.openvino import OpenVino
from tests.exporters.graphs import draw, graph
from tests.heard import Heard
from tests.networks import ConvNet, ResidualNet, images, seeded

INSTALLED = find_spec("openvino") is not None
needs_openvino = pytest.mark.skipif(not INSTALLED, reason="pip install 'edgecompress[openvino]'")
SCORES = to_bytes(graph("p = GlobalAveragePool(x) y = Flatten(p)"))
BATCHES = [Batch(inputs={"x": draw(rows, 4, 8, 8, seed=rows)}, class_axis=1) for rows in (5, 5, 3)]
BROKEN = {
    "import os; os.abort()": "it was ended by signal 6 (SIGABRT)",
    "raise ImportError('libtbb.so.12 is missing')": "OpenVINO does not load: libtbb.so.12 is missing",
    "class Core:\n  compile_model = print\n  def read_model(self, path): raise OSError('a.cpp:8:\\nNo rule for Det')": (
        "OpenVINO refuses the artifact: a.cpp:8: No rule for Det"
    ),
}


def _run(model: bytes = SCORES, place: str = "openvino", batches: list[Batch] = BATCHES) -> PlaceResult:
    (result,) = compare_places(model, batches[0], batches, find_places([place]), Heard())
    return result


def _quantized(network: type[ConvNet | ResidualNet]) -> bytes:
    """The file that ships, of weights whose products saturate on no CPU."""
    recipe, module = (
        Recipe(quantization=Quantization(enabled=True, scheme="fbgemm", placement="table")),
        seeded(network),
    )
    batches = open_batches(images(seed=1), "calibration", module, recipe)
    done = convert(module, Context(recipe=recipe, example=batches.first(), streams=Streams(calibration=batches)))
    return finish(done.artifact, done.original)


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A package ``openvino`` that does something else."""
    (tmp_path / "openvino.py").write_text(request.param)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return str(request.param)


def test_what_is_not_installed_is_named_with_its_install_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert main(["validate", str(tmp_path), "--on", "openvino"]) == 2
    line = "error: runtime 'openvino' needs OpenVINO; pip install 'edgecompress[openvino]'\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("broken", BROKEN, indirect=True)
def test_a_broken_one_is_a_line_and_agrees_on_nothing(broken: str) -> None:
    result = _run()
    assert result.failure == BROKEN[broken]
    assert result.entry["nodes"] is None
    assert Elsewhere.of([result]).agreements["runtime_agreement"] == 0.0


@pytest.mark.parametrize("broken", list(BROKEN)[:2], indirect=True)
def test_devices_of_a_broken_one_are_not_guessed(broken: str) -> None:
    with pytest.raises(RecipeError, match=r"^OpenVINO does not load: .*; pip install --force-reinstall openvino$"):
        find_places(["openvino:GPU"])


@pytest.mark.parametrize("broken", ["class Core: available_devices = ['CPU', 'NPU']"], indirect=True)
def test_a_device_that_this_machine_lacks_is_one_line(broken: str) -> None:
    with pytest.raises(RecipeError) as caught:
        find_places(["openvino:GPU"])
    assert (
        str(caught.value) == "OpenVINO has no device 'GPU' here, and has CPU, NPU; name one of these, as 'openvino:CPU'"
    )
    (named,) = find_places(["openvino:NPU"])
    assert named.place == OpenVino(device="NPU")


@needs_openvino
@pytest.mark.parametrize("place", ["openvino", "openvino:CPU"])
def test_a_float_file_answers_the_same_in_floats(place: str) -> None:
    result = _run(place=place)
    assert (result.failure, result.samples) == (None, 13)
    assert result.agreement.sqnr_db > 100
    assert result.agreement.top1_agreement == 1.0
    assert [node.precision for node in result.nodes] == ["f32"]
    assert result.ran_on.keys() == {"openvino", "CPU"}


@needs_openvino
@pytest.mark.parametrize("network", [ConvNet, ResidualNet])
def test_an_int8_file_runs_in_integers_there(network: type[ConvNet | ResidualNet]) -> None:
    model = _quantized(network)
    integers = [node for node in onnx.load_from_string(model).graph.node if node.op_type in ("Conv", "Gemm")]
    batches = [Batch(inputs={"image": images(seed=2)[0][0].numpy()}, class_axis=1)]
    result = _run(model, batches=batches)
    assert result.failure is None
    assert result.agreement.sqnr_db >= 35
    layers = [node for node in result.nodes if node.operator in ("Convolution", "FullyConnected")]
    assert len(layers) == len(integers)
    # The first convolution stays float for speed, and what reads its outputs alone may, too.
    assert all(node.integer for node in layers[2:])
    assert result.entry["nodes"]["integer"] >= len(layers) - 2


@needs_openvino
def test_an_operator_that_it_lacks_is_named_in_one_line() -> None:
    result = _run(to_bytes(graph("y = Det(x)")))
    assert result.failure is not None
    assert "Det" in result.failure
    assert "\n" not in result.failure


@needs_openvino
def test_it_is_in_the_manifest_the_table_and_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ("export.simplify=false", "cpu.runs=10", 'export.formats=["onnx"]', 'validation.on=["openvino"]')
    settings = ("quantization.scheme=fbgemm", "quantization.placement=table")
    budgets = ("budgets.min_compression_ratio=none", "budgets.min_speedup=none", "budgets.max_accuracy_drop=none")
    bundle = edgecompress.compress(
        seeded(ConvNet),
        calibration=images(seed=1),
        output=tmp_path / "out",
        overrides=(*overrides, *settings, *budgets),
    )
    entry = read_bundle(bundle.path).manifest.runtimes["openvino"]
    ran, integer = entry["nodes"]["ran"], entry["nodes"]["integer"]
    assert 0 < integer <= ran
    assert f"{integer} of {ran}" in (bundle.path / "report.html").read_text()
    assert json.loads((bundle.path / "report.json").read_text())["runtimes"]["openvino"] == entry
    capsys.readouterr()
    main(["validate", str(bundle.path)])
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("openvino"))
    assert row.endswith(f"{integer} of {ran}")
    assert np.isfinite(entry["sqnr_db"])
