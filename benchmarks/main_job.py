"""The main job on the two example models, as a user runs it: python benchmarks/main_job.py

Prints one Markdown table: what each run reached, how long it took and how much memory it needed.
The example is found through EDGECOMPRESS_EXAMPLE.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = Path(os.environ.get("EDGECOMPRESS_EXAMPLE", ROOT.parent / "shared" / "example"))
HEADINGS = ("model", "command", "size", "latency, 1 thread", "top-1", "time", "memory")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One model with its data, and the options that decide what becomes of it."""

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
        model="mobilenet_v1",
        calibration="imagenet_calibration",
        evaluation="imagenet_validation",
        options="--target mobile",
    ),
    Job(
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
        job.model,
        f"`{job.options}`",
        f"{size['original'] / 1e6:.2f} -> {size['compressed'] / 1e6:.2f} MB, {size['ratio']:.2f}x",
        f"{before:.2f} -> {after:.2f} ms, {latency['ratio']:.2f}x ({low:.2f}-{high:.2f})",
        f"{accuracy['original']:.2f} -> {accuracy['compressed']:.2f} %",
        f"{seconds:.0f} s",
        f"{megabytes / 1000:.2f} GB",
    )


def main() -> None:
    """Run every job and print the table."""
    if not (EXAMPLE / "models.py").is_file():
        sys.exit(f"no example at {EXAMPLE}; set EDGECOMPRESS_EXAMPLE")
    for cells in (HEADINGS, ("---",) * len(HEADINGS), *map(row, JOBS)):
        print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
