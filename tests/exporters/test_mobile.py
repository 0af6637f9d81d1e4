"""A phone gets three files; what ONNX Runtime's tools cannot say costs their answer alone."""

from __future__ import annotations

import pytest

from edgecompress.exporters.mobile import OPERATORS, make_mobile
from edgecompress.exporters.ort_format import ORT_ARTIFACT, to_ort
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph

ARTIFACT = to_bytes(graph("r = Relu(x) y = HardSwish(r)"))
INPUTS = {"x": draw(2, 4, 8, 8)}


def test_the_files_and_the_counts() -> None:
    mobile = make_mobile(ARTIFACT, INPUTS)
    assert mobile.files.keys() == {ORT_ARTIFACT, OPERATORS}
    assert mobile.files[ORT_ARTIFACT] == to_ort(ARTIFACT)
    assert mobile.entry["failure"] is None
    assert mobile.entry["accelerators"].keys() == {"nnapi", "coreml_neural_network", "coreml_ml_program"}


@pytest.mark.parametrize("tool", ["required_operators", "count_accelerated"])
def test_a_tool_that_fails_costs_its_answer(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ModuleNotFoundError("no tools\nin this build")

    monkeypatch.setattr(f"edgecompress.exporters.mobile.{tool}", fail)
    mobile = make_mobile(ARTIFACT, INPUTS)
    assert mobile.files[ORT_ARTIFACT] == to_ort(ARTIFACT)
    assert mobile.entry == {"accelerators": {}, "failure": "ModuleNotFoundError: no tools"}
