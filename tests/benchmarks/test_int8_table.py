"""The tables of the INT8 benchmark: each figure with its unit, and a failure in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.int8_table import FAILURE_LENGTH, failed_section, page, section
from benchmarks.measures import Measured
from benchmarks.quantizers import Candidate, Quantized
from edgecompress.metrics.agreement import Agreement
from edgecompress.validation.elsewhere.results import PlaceResult

FLOAT = Measured(
    median_ms=8.0, speedup=1.0, low=1.0, high=1.0, size_bytes=4_000_000, accuracy=80.0, sqnr_db=200.0, emulated=None
)
INT8 = replace(FLOAT, median_ms=4.0, speedup=2.0, low=1.9, high=2.1, size_bytes=1_000_000, accuracy=79.5, sqnr_db=30.0)
QUANTIZED = Quantized(
    candidate=Candidate(name="ours", tool="edgecompress"), file=Path("0.onnx"), seconds=1.25, peak_bytes=500_000_000
)


def _row(measured: Measured | None, quantized: Quantized = QUANTIZED, original: Measured = FLOAT) -> list[str]:
    line = section("Net", original, [(quantized, measured)]).splitlines()[-1]
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_a_trained_network_has_an_accuracy_drop() -> None:
    assert _row(INT8) == ["ours", "2.00x (1.90-2.10)", "4.00x", "+0.50 points, 30.0 dB", "-", "1.2 s", "0.50 GB"]
    assert "Float: 8.00 ms, 4.00 MB, 80.00 %." in section("Net", FLOAT, [])


def test_a_seeded_network_has_an_sqnr() -> None:
    seeded = replace(FLOAT, accuracy=None)
    assert _row(replace(INT8, accuracy=None), original=seeded)[3] == "30.0 dB"
    assert "| SQNR |" in section("Net", seeded, [])


def test_the_emulated_cpu() -> None:
    three_of_four = Agreement(agreed=3, decided=4)
    found = PlaceResult(place="qemu:haswell", samples=4, agreement=three_of_four)
    assert _row(replace(INT8, emulated=replace(found, identical=True)))[4] == "identical"
    assert _row(replace(INT8, emulated=found))[4] == "75.0 % same class"
    assert _row(replace(INT8, emulated=replace(found, failure="it crashed")))[4] == "failed: it crashed"


def test_a_failure_is_one_row_of_one_line() -> None:
    cells = _row(None, replace(QUANTIZED, failure="a | b\n" + "x" * 500))
    assert cells == ["ours", "failed: a / b", "", "", "", "", ""]
    long = _row(None, replace(QUANTIZED, failure="x" * 500))[1]
    assert len(long) < FAILURE_LENGTH + 20
    assert failed_section("Net", "it\nhas gone") == "## Net\n\nNot run: it."


def test_the_page_says_how_it_was_made() -> None:
    text = page("python -m benchmarks.int8 --runs 5", ["## Net"])
    assert "`python -m benchmarks.int8 --runs 5`" in text
    assert "onnxruntime 1." in text
    assert text.endswith("## Net\n")
