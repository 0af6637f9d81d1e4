"""Outputs on other CPUs are compared with this machine's, and whatever goes wrong there is one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgecompress.data.batches import Batch
from edgecompress.errors import RecipeError
from edgecompress.progress import Progress
from edgecompress.runtime import to_bytes
from edgecompress.validation.elsewhere.comparison import compare_places
from edgecompress.validation.elsewhere.places import emulated, find_places
from edgecompress.validation.elsewhere.results import Elsewhere, PlaceResult
from edgecompress.validation.elsewhere.runtimes import qemu
from tests.exporters.graphs import draw, graph

Emulator = Callable[[str], None]
SCORES = to_bytes(graph("p = GlobalAveragePool(x) y = Flatten(p)"))
LOUDER = to_bytes(graph("p = GlobalAveragePool(x) f = Flatten(p) y = Mul(f, k)", k=np.array(1.1, np.float32)))
MIRRORED = to_bytes(graph("p = GlobalAveragePool(x) f = Flatten(p) y = Neg(f)"))
ENDLESS = to_bytes(graph("p = GlobalAveragePool(x) f = Flatten(p) z = Sub(f, f) y = Div(f, z)"))
SILENT = to_bytes(graph("p = GlobalAveragePool(x) f = Flatten(p) y = Mul(f, k)", k=np.array([1, 1, 0, 1], np.float32)))
BATCHES = [Batch(inputs={"x": draw(5, 4, 8, 8, seed=seed)}, class_axis=1) for seed in range(3)]


def _compare(artifact: bytes = SCORES, batches: list[Batch] = BATCHES, cpu: str = "haswell") -> PlaceResult:
    (result,) = compare_places(artifact, batches[0], batches, find_places(emulated([cpu, cpu])), Progress())
    return result


def _agreement(result: PlaceResult) -> float | None:
    return Elsewhere.of([result]).agreements["cpu_agreement"]


def _entry(result: PlaceResult) -> dict[str, Any]:
    return dict(Elsewhere.of([result]).cpus["haswell"])


def test_the_same_machine_gives_the_same_bits(emulator: Emulator) -> None:
    emulator("RUN")
    result = _compare()
    assert (result.place, result.samples, result.identical, result.failure) == ("qemu:haswell", 15, True, None)
    assert (result.agreement.sqnr_db, result.agreement.top1_agreement) == (200.0, 1.0)
    assert _entry(result)["onnxruntime"] == onnxruntime.__version__


@pytest.mark.parametrize(("other", "db", "share"), [(LOUDER, 20.0, 1.0), (MIRRORED, -6.0206, 0.0)])
def test_a_machine_that_computes_otherwise_is_told(
    emulator: Emulator, tmp_path: Path, other: bytes, db: float, share: float
) -> None:
    (tmp_path / "other.onnx").write_bytes(other)
    emulator(f"cp {tmp_path}/other.onnx model.onnx; RUN")
    result = _compare()
    assert not result.identical
    assert result.agreement.sqnr_db == pytest.approx(db, abs=1e-3)
    assert result.agreement.top1_agreement == share
    assert _agreement(result) == share


@pytest.mark.parametrize(("factor", "share"), [(1.05, 1.0), (1.5, 0.0)])
def test_where_no_class_is_known_samples_agree_to_25_db(
    emulator: Emulator, tmp_path: Path, factor: float, share: float
) -> None:
    other = graph("p = GlobalAveragePool(x) f = Flatten(p) y = Mul(f, k)", k=np.array(factor, np.float32))
    (tmp_path / "other.onnx").write_bytes(to_bytes(other))
    emulator(f"cp {tmp_path}/other.onnx model.onnx; RUN")
    result = _compare(batches=[replace(batch, class_axis=None) for batch in BATCHES])
    entry = _entry(result)
    assert (entry["top1_agreement"], entry["alike"]) == (None, share)  # 26 dB and 6 dB
    assert _agreement(result) == share


def test_a_class_that_is_silent_there_agrees_on_nothing(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(SILENT)
    emulator(f"cp {tmp_path}/other.onnx model.onnx; RUN")
    result = _compare()
    entry = _entry(result)
    assert entry["lost"] == ["y[:, 2]"]
    assert entry["worst_slice"] == {"name": "y[:, 2]", "sqnr_db": 0.0}
    assert entry["top1_agreement"] > 0.3
    assert _agreement(result) == 0.0


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("kill -SEGV $$", "qemu-x86_64 was ended by signal 11 (SIGSEGV)"),
        ("kill -ILL $$", "qemu-x86_64 was ended by signal 4 (SIGILL)"),
        ("kill -40 $$", "qemu-x86_64 was ended by signal 40"),
        ("echo first >&2; echo 'qemu: no such luck' >&2; exit 1", "qemu: no such luck"),
        ("exit 3", "qemu-x86_64 ended with status 3"),
        ("exit 0", "qemu-x86_64 ended with status 0"),
    ],
)
def test_an_emulator_that_fails_is_one_line(emulator: Emulator, script: str, failure: str) -> None:
    emulator(script)
    result = _compare()
    assert result.failure == failure
    entry = _entry(result)
    assert entry["sqnr_db"] is entry["top1_agreement"] is entry["onnxruntime"] is None
    assert _agreement(result) == 0.0


def test_an_artifact_that_does_not_load_there_is_one_line(emulator: Emulator) -> None:
    emulator("echo garbage >model.onnx; RUN")
    failure = _compare().failure
    assert failure is not None
    assert failure.startswith("RuntimeError: ONNX Runtime 1.")
    assert "refuses the artifact" in failure
    assert "\n" not in failure


def test_it_does_not_wait_for_ever(emulator: Emulator, tmp_path: Path) -> None:
    emulator("exec sleep 60")
    hurried = replace(qemu.find_place("haswell"), limit_s=0.2)
    (tmp_path / "model.onnx").write_bytes(SCORES)
    assert hurried.run(tmp_path / "model.onnx", [BATCHES[0].inputs]).failure == "not done after 0.2 s"


def test_a_program_that_cannot_start_is_one_line(emulator: Emulator, tmp_path: Path) -> None:
    emulator("RUN")
    (tmp_path / "emulators" / "qemu-x86_64").write_bytes(b"\0\1")
    assert _compare().failure == "qemu-x86_64 cannot be started: Exec format error"


def test_outputs_that_are_not_finite_are_no_agreement(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(ENDLESS)
    emulator(f"cp {tmp_path}/other.onnx model.onnx; RUN")
    assert _compare().failure == "outputs that are not finite"


def test_an_unknown_cpu_is_told_before_anything_runs() -> None:
    with pytest.raises(RecipeError, match="unknown CPU 'z80'"):
        find_places(emulated(["z80"]))


def test_a_cpu_has_the_keys_that_manifests_always_had(emulator: Emulator) -> None:
    emulator("RUN")
    figures = {"sqnr_db", "max_abs_error", "top1_agreement", "alike", "worst_slice"}
    assert _entry(_compare()).keys() == {"identical", *figures, "lost", "samples", "onnxruntime", "failure"}


# A 1x1 convolution of 4 channels whose inputs and weights are all as large as they get. AVX2 without VNNI adds pairs
# of products in 16 signed bits: 2 * 255 * 127 = 64770 becomes 32767; 2 * 127 * 127 = 32258 fits.
PLANTED = to_bytes(
    graph(
        "q = QuantizeLinear(x, one, zero) d = DequantizeLinear(q, one, zero) v = DequantizeLinear(w, one, wzero)"
        " c = Conv(d, v) r = QuantizeLinear(c, s, zero) y = DequantizeLinear(r, s, zero)",
        one=np.array(1, np.float32),
        zero=np.array(0, np.uint8),
        w=np.full((16, 4, 1, 1), 127, np.int8),
        wzero=np.array(0, np.int8),
        s=np.array(4 * 255 * 127 / 255, np.float32),
    )
)


def _planted(cpu: str, level: int) -> PlaceResult:
    batch = Batch(inputs={"x": np.full((2, 4, 8, 8), level, np.float32)})
    try:
        result = _compare(PLANTED, [batch], cpu)
    except RecipeError as error:
        pytest.skip(f"{error}")
    assert result.failure is None
    return result


def test_eight_bits_saturate_on_haswell() -> None:
    result = _planted("haswell", 255)
    assert not result.identical
    # 255 steps of output here; there round(255 * 32767 / 64770) = 129 of them.
    assert result.agreement.sqnr_db == pytest.approx(20 * np.log10(255 / (255 - 129)), abs=1e-6)


def test_seven_bits_are_identical_on_haswell() -> None:
    assert _planted("haswell", 127).identical


def test_eight_bits_do_not_saturate_on_arm() -> None:
    assert _planted("cortex-a72", 255).identical
