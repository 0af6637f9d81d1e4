"""ONNX files in the manner of other exporters become bundles, or are refused in one line that is right."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import mock

import onnx
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from edgecompress import compress
from edgecompress.errors import InputError
from edgecompress.loading.models import load_model
from tests.foreign import MAKERS, OPSETS, Foreign, foreign

FILES = 300 if settings.get_current_profile_name() == "fuzz" else 4
QUICK = ("cpu.runs=10", "report.examples=0", "cpu.threads=1", "export.formats=[]")
FILE = st.builds(foreign, st.sampled_from(sorted(MAKERS)), st.integers(*OPSETS), st.integers(0, 2**16))


def outcome(file: Foreign, target: str, *, simplify: bool = True) -> str:
    """What became of a file: a verdict, or the words of a refusal.

    The bill of materials is the same for all of them, and takes longer than the rest.
    """
    with tempfile.TemporaryDirectory() as name, mock.patch("edgecompress.bundle.outcome.make_sbom", return_value=b"{}"):
        onnx.save(file.model, f"{name}/net.onnx")
        try:
            network = load_model(f"{name}/net.onnx")
            bundle = compress(
                network,
                target=target,
                calibration=list(file.batches),
                output=Path(name, "out"),
                overrides=(*QUICK, f"export.simplify={simplify}".lower()),
            )
        except InputError as error:
            return f"refused: {str(error).replace(name, '')}"
        return "passed" if bundle.passed else "missed a budget"


@settings(max_examples=FILES, suppress_health_check=list(HealthCheck))
@given(file=FILE, target=st.sampled_from(["mobile", "mini-pc"]), simplify=st.booleans())
def test_a_file_of_another_exporter_becomes_a_bundle_or_is_refused(
    file: Foreign, target: str, *, simplify: bool
) -> None:
    event(outcome(file, target, simplify=simplify))
