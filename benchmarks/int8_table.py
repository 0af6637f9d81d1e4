"""The page that the benchmark writes: what was run where, and a table for each network."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measures import Measured
from benchmarks.quantizers import Quantized
from edgecompress.units import signed
from edgecompress.validation.elsewhere.results import PlaceResult

PACKAGES = ("edgecompress", "torch", "onnx", "onnxruntime", "onnxsim", "nncf", "transformers")
FAILURE_LENGTH = 110


def page(command: str, sections: Sequence[str]) -> str:
    """The whole page, Markdown."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return "\n\n".join(("# INT8 compared with other quantizers", _preamble(command, versions), *sections)) + "\n"


def section(title: str, original: Measured, rows: Sequence[tuple[Quantized, Measured | None]]) -> str:
    """The table of one network."""
    judged = "SQNR" if original.accuracy is None else "top-1 drop, SQNR"
    top1 = "" if original.accuracy is None else f", {original.accuracy:.2f} %"
    headings = ("quantizer", "faster (95 %)", "smaller", judged, "on Haswell", "time", "memory")
    lines = [_line(headings), _line(("---",) * len(headings))]
    lines += [_line(_cells(quantized, measured, original)) for quantized, measured in rows]
    float_file = f"Float: {original.median_ms:.2f} ms, {original.size_bytes / 1e6:.2f} MB{top1}."
    return "\n".join((f"## {title}", "", float_file, "", *lines))


def failed_section(title: str, failure: str) -> str:
    """What stands there for a network that cannot be made."""
    return f"## {title}\n\nNot run: {one_line(failure)}."


def one_line(text: str) -> str:
    """A message as it fits into a cell.

    >>> one_line("a | b\\nsecond")
    'a / b'
    """
    line = text.strip().splitlines()[0].replace("|", "/") if text.strip() else "no reason given"
    return line if len(line) <= FAILURE_LENGTH else line[:FAILURE_LENGTH] + "..."


def _cells(quantized: Quantized, measured: Measured | None, original: Measured) -> tuple[str, ...]:
    name = quantized.candidate.name
    if measured is None:
        return (name, f"failed: {one_line(quantized.failure or '')}", *[""] * 5)
    return (
        name,
        f"{measured.speedup:.2f}x ({measured.low:.2f}-{measured.high:.2f})",
        f"{original.size_bytes / measured.size_bytes:.2f}x",
        _judged(measured, original),
        _haswell(measured.emulated),
        f"{quantized.seconds:.1f} s",
        f"{quantized.peak_bytes / 1e9:.2f} GB",
    )


def _judged(measured: Measured, original: Measured) -> str:
    if measured.accuracy is None or original.accuracy is None:
        return f"{measured.sqnr_db:.1f} dB"
    return f"{signed(original.accuracy - measured.accuracy, '%')} points, {measured.sqnr_db:.1f} dB"


def _haswell(result: PlaceResult | None) -> str:
    if result is None:
        return "-"
    if result.failure is not None:
        return f"failed: {one_line(result.failure)}"
    if result.identical:
        return "identical"
    share = result.agreement.top1_agreement
    return f"{result.agreement.sqnr_db:.0f} dB" if share is None else f"{100 * share:.1f} % same class"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _preamble(command: str, versions: str) -> str:
    return (
        f"Written by `{command}` on {machine()}, with {versions}.\n\n"
        "All quantizers read the same float ONNX file, as torch exports it, and the same calibration batches. "
        "*Faster* is the float file's latency over the INT8 file's: one thread, one sample, all files of a network "
        "in turn in one run, medians, in brackets the 95 % interval of the ratio. *Smaller* is bytes of the float "
        "file over bytes of the INT8 file. *Top-1 drop* is float accuracy minus INT8 accuracy; SQNR compares the "
        "outputs with the float file's, and tells more: where 3 % of 650 images change their class, chance moves "
        "the accuracy by 0.7 points. *On Haswell* is the same file on the same images under emulation, against "
        "this machine: bit-identical outputs, or the share of images with the same top class; - where it was not "
        "tried. *Time* is from the float file to the INT8 file, *memory* the largest resident memory of the "
        "quantizer's own process, imports included."
    )


def machine() -> str:
    """Cores, CPU, and whether its sums of 8-bit products are exact."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    extensions = _extensions(fields.get("flags", ""))
    return f"{os.cpu_count()} cores of an {fields.get('model name', 'unknown CPU')}{extensions}"


def _extensions(flags: str) -> str:
    """What of the instruction sets matters here.

    >>> _extensions("sse2 avx2"), _extensions("avx2 avx512_vnni"), _extensions("asimd")
    (' with AVX2, without VNNI', ' with AVX512-VNNI', '')
    """
    known = {"avx512_vnni": " with AVX512-VNNI", "avx_vnni": " with AVX-VNNI", "avx2": " with AVX2, without VNNI"}
    return next((words for flag, words in known.items() if flag in flags.split()), "")


def version(package: str) -> str:
    """Of an installed package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
