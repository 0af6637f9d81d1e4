"""The table of results in README: the main job on the two example models, as a user runs it.

``python -m benchmarks.main_job`` prints what each run reached, how long it took and how much memory it needed, and the
machine; with ``--output README.md`` it writes that into the page, between two comments, once all runs are done. The
example is found through EDGECOMPRESS_EXAMPLE.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.int8_table import machine

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = Path(os.environ.get("EDGECOMPRESS_EXAMPLE", ROOT.parent / "shared" / "example"))
HEADINGS = ("model", "size", "latency, 1 thread", "top-1", "time", "memory")
START, END = "<!-- results: written by python -m benchmarks.main_job -->", "<!-- end of the results -->"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One model with its data, and the options that decide what becomes of it; ``title`` is what the table calls it."""

    title: str
    model: str
    calibration: str
    evaluation: str
    options: str

    def command(self, output: Path) -> list[str]:
        """The command line."""
        return [
            *(sys.executable, "-m", "edgecompress", "compress", f"models.py:{self.model}"),
            *("--weights", f"weights/{self.model}.safetensors", "--json", "--output", str(output)),
            *("--calibration", f"data.py:{self.calibration}", "--evaluation", f"data.py:{self.evaluation}"),
            *self.options.split(),
        ]


CLOUD = "--target cloud --set pruning.enabled=false --set quantization.enabled=true --set quantization.scheme="
JOBS = (
    Job(
        title="MobileNetV1 0.75, `--target mobile`",
        model="mobilenet_v1",
        calibration="imagenet_calibration",
        evaluation="imagenet_validation",
        options="--target mobile",
    ),
    Job(
        title="ResNet-20, `--target cloud`, INT8 by `fbgemm`",
        model="resnet20",
        calibration="cifar10_calibration",
        evaluation="cifar10_test",
        options=f"{CLOUD}fbgemm",
    ),
)


def run(job: Job) -> tuple[dict[str, Any], float, float]:
    """The manifest, the seconds, and the peak memory in megabytes (10^6 bytes) of one run."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as out:
        start = time.perf_counter()
        process = subprocess.Popen(job.command(Path(folder, "bundle")), cwd=EXAMPLE, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if status:
            sys.exit(f"{job.model} ended with exit status {os.waitstatus_to_exitcode(status)}")
        out.seek(0)
        return json.load(out), seconds, usage.ru_maxrss * 1024 / 1e6


def row(job: Job) -> tuple[str, ...]:
    """The cells of one line of the table."""
    manifest, seconds, megabytes = run(job)
    size, latency, accuracy = (manifest["metrics"][name] for name in ("size_bytes", "latency_ms", "accuracy"))
    low, high = latency["ratio_interval_95"]
    before, after = latency["original"]["median"], latency["compressed"]["median"]
    return (
        job.title,
        f"{size['original'] / 1e6:.2f} -> {size['compressed'] / 1e6:.2f} MB, {size['ratio']:.2f}x",
        f"{before:.2f} -> {after:.2f} ms, {latency['ratio']:.2f}x ({low:.2f}-{high:.2f})",
        f"{accuracy['original']:.2f} -> {accuracy['compressed']:.2f} %",
        f"{seconds:.0f} s",
        f"{megabytes / 1000:.2f} GB",
    )


def section(rows: Sequence[Sequence[str]]) -> str:
    """The table, and where and with what it was measured."""
    lines = [f"| {' | '.join(cells)} |" for cells in (HEADINGS, ("---",) * len(HEADINGS), *rows)]
    versions = ", ".join(f"{package} {version(package)}" for package in ("edgecompress", "torch", "onnxruntime"))
    return "\n".join([*lines, "", f"All rows in one run, on {machine()}, with {versions}."])


def written_into(page: str, text: str) -> str:
    """A page with the text between its two comments."""
    before, after = page.partition(START)[0], page.partition(END)[2]
    return f"{before}{START}\n\n{text}\n\n{END}{after}"


def main() -> None:
    """Run every job, and print the table or write it into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="page with the two comments")
    output: Path | None = parser.parse_args().output
    if not (EXAMPLE / "models.py").is_file():
        sys.exit(f"no example at {EXAMPLE}; set EDGECOMPRESS_EXAMPLE")
    if output is not None and not all(comment in output.read_text() for comment in (START, END)):
        sys.exit(f"{output} has no place for the table; put {START} and {END} there")
    text = section([row(job) for job in JOBS])
    print(text)
    if output is not None:
        output.write_text(written_into(output.read_text(), text))


if __name__ == "__main__":
    main()
