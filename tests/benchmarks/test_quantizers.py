"""Every quantizer in its own process: what it leaves, and that its death is an answer."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import benchmarks.quantizers as quantizers
from benchmarks.quantizers import CANDIDATES, Candidate, run_candidate
from benchmarks.sessions import open_file
from benchmarks.subjects import Subject, calibration_batches, prepare
from edgecompress.loading.onnx_files import is_quantized
from edgecompress.metrics.agreement import Agreement
from edgecompress.runtime import run_session
from tests.networks import ConvNet, images, seeded

ENOUGH = 64 * 10**9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("net")
    batches = images(seed=1)
    subject = Subject(
        title="net",
        kind="mobile",
        network=lambda: seeded(ConvNet),
        calibration=batches,
        evaluation=batches,
        emulated_images=1,
    )
    prepare(subject, folder)
    return folder


def _number(tool: str) -> int:
    return next(index for index, candidate in enumerate(CANDIDATES) if candidate.tool == tool)


def test_the_batches_come_back_as_they_were(folder: Path) -> None:
    for got, want in zip(calibration_batches(folder), images(seed=1), strict=True):
        image = want[0] if isinstance(want, tuple) else want
        assert np.array_equal(next(iter(got.values())), np.asarray(image))


@pytest.mark.parametrize("tool", ["edgecompress", "ort"])
def test_a_quantizer_leaves_an_integer_file(folder: Path, tool: str) -> None:
    large = np.ones(10**9, np.int8)  # a child starts with its parent's peak unless one looks closer
    found = run_candidate(_number(tool), folder, ENOUGH)
    assert found.failure is None
    assert is_quantized(ir.load(found.file))
    assert found.seconds > 0
    assert 50e6 < found.peak_bytes < large.nbytes


@pytest.mark.skipif(find_spec("openvino") is None, reason="pip install 'edgecompress[openvino]'")
def test_floats_in_openvino_answer_as_the_float_file(folder: Path) -> None:
    found = run_candidate(_number("openvino_float"), folder, ENOUGH)
    assert found.failure is None
    session, original = (open_file(file, 1) for file in (found.file, folder / "float.onnx"))
    inputs = next(calibration_batches(folder))
    assert Agreement.between(run_session(original, inputs), run_session(session, inputs)).sqnr_db > 25


@pytest.mark.skipif(find_spec("openvino") is None, reason="pip install 'edgecompress[openvino]'")
def test_our_file_in_openvino_answers_as_in_onnx_runtime(folder: Path) -> None:
    number = _number("edgecompress_openvino")
    found = run_candidate(number, folder, ENOUGH)
    assert found.failure is None
    assert found.file.suffix == ".xml"
    own = found.file.with_suffix(".onnx")
    assert is_quantized(ir.load(own))
    first = next(calibration_batches(folder))
    there, here = (run_session(open_file(file, 1), first) for file in (found.file, own))
    assert Agreement.between(here, there).sqnr_db > 25


def test_a_quantizer_that_fails_is_told_of_in_one_line(tmp_path: Path) -> None:
    found = run_candidate(_number("edgecompress"), tmp_path, ENOUGH)  # no float file there
    assert found.failure
    assert "float.onnx" in found.failure
    assert "\n" not in found.failure
    assert found.candidate == CANDIDATES[_number("edgecompress")]


def test_a_quantizer_that_does_not_end_is_ended(folder: Path) -> None:
    assert run_candidate(_number("edgecompress"), folder, ENOUGH, limit_s=0.2).failure == "not done after 0.2 s"


def test_names_are_unique_and_every_kind_has_every_tool() -> None:
    assert len({candidate.name for candidate in CANDIDATES}) == len(CANDIDATES)
    for kind in ("residual", "mobile", "transformer"):
        tools = {candidate.tool for candidate in CANDIDATES if kind in candidate.kinds}
        assert tools == set(quantizers.TOOLS) == set(quantizers.MODULES)
    assert isinstance(CANDIDATES[0], Candidate)
