"""What bundles record, and what a phone answers: python -m benchmarks.arithmetic [--models NAME ...] [--rows N]

Each network is compressed for ``mobile`` on this machine. Its agreement with the float model, as a bundle records it,
stands next to that of a default session here and that of an emulated Cortex-A72, on the same images.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import onnxruntime

from benchmarks.subjects import Subject, subjects
from edgecompress import compress
from edgecompress.arithmetic import EXACT_OPTION, Arithmetic
from edgecompress.data.batches import Batch
from edgecompress.loading.sources import open_batches, open_source
from edgecompress.metrics.agreement import Agreement
from edgecompress.modules.named_inputs import name_inputs
from edgecompress.pipeline.fold import float_original
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import ALL_CORES, open_session, run_session, saturates, to_bytes
from edgecompress.targets import effective_profile
from edgecompress.validation.elsewhere.runtimes.qemu import find_place

DEFAULT = ("mobilenet_v1", "resnet20", "mobilenet_v2", "vit_tiny")
STAND_IN = "cortex-a72"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=list(subjects()), default=DEFAULT)
    parser.add_argument("--rows", type=int, default=8, help="images on which the outputs are compared")
    given = parser.parse_args()
    print(f"this machine {'saturates' if saturates() else 'sums exactly'}; {given.rows} images")
    print(f"{'':<14}{'recorded':>10}{'default here':>14}{STAND_IN:>13}  loads exactly")
    for name in given.models:
        print(_row(name, subjects()[name], given.rows), flush=True)


def _row(name: str, subject: Subject, rows: int) -> str:
    recipe = effective_profile("mobile", ()).recipe
    network = name_inputs(subject.network(), open_source(subject.calibration, "calibration", recipe))
    evaluation = open_batches(subject.evaluation, "evaluation", network, recipe)
    batch = evaluation.first().sample(rows)
    original = to_bytes(float_original(network, Recipe(), batch))
    (wanted,) = run_session(open_session(original, ALL_CORES), batch.inputs)
    with tempfile.TemporaryDirectory() as folder:
        artifact = _compressed(subject, Path(folder) / "bundle")
        found = [_here(artifact, batch, kind) for kind in ("exact", "native")]
        found.append(_emulated(artifact, batch, Path(folder)))
    recorded, default, phone = (Agreement.between([wanted], [outputs]).sqnr_db for outputs in found)
    return f"{name:<14}{recorded:>7.1f} dB{default:>11.1f} dB{phone:>10.1f} dB  {_loads(artifact)}"


def _compressed(subject: Subject, folder: Path) -> bytes:
    """The artifact for a phone; without evaluation data no layer returns to float."""
    bundle = compress(
        subject.network(),
        target="mobile",
        calibration=subject.calibration,
        overrides=("cpu.runs=10", "export.formats=[]"),
        output=folder,
    )
    return bundle.artifact.read_bytes()


def _here(artifact: bytes, batch: Batch, arithmetic: Arithmetic) -> Any:
    return run_session(open_session(artifact, ALL_CORES, arithmetic=arithmetic), batch.inputs)[0]


def _emulated(artifact: bytes, batch: Batch, folder: Path) -> Any:
    """The first output under emulation."""
    model = folder / "model.onnx"
    model.write_bytes(artifact)
    answer = find_place(STAND_IN).run(model, [batch.inputs])
    assert answer.failure is None, answer.failure
    return next(iter(answer.outputs[0].values()))


def _loads(artifact: bytes) -> str:
    """Whether ONNX Runtime takes the file as it is in a session with exact sums."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry(EXACT_OPTION, "1")
    try:
        onnxruntime.InferenceSession(artifact, options)
    except Exception as error:  # ONNX Runtime's exceptions have no common root
        return f"no: {error}"
    return "yes"


if __name__ == "__main__":
    main()
