"""The memory of a whole `compress` run of ResNet-50, phase by phase: python benchmarks/memory.py --samples 2000

Prints a Markdown table: for each phase of the run the most that the run and all its children held at one moment
(resident set sizes, summed: pages that they share count for each), the most of any one process, and the seconds.
`--until calibration` stops the run after its calibration.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_EVERY_S = 0.05
LIMIT_GB = 2.5
LAST = "calibrating, pass 2"
CHILD = "--child"


@dataclass(frozen=True, kw_only=True)
class Job:
    """How many calibration samples, in batches of what size, for which target; where a label begins with ``until``,
    the run ends behind it."""

    samples: int
    batch: int
    target: str
    until: str | None

    @property
    def options(self) -> list[str]:
        """As the command line takes them."""
        until = [] if self.until is None else ["--until", self.until]
        return ["--samples", str(self.samples), "--batch", str(self.batch), "--target", self.target, *until]


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What lies between two labels of the progress; bytes at the peak of the sum, and of the largest process."""

    label: str
    seconds: float = 0.0
    tree_bytes: int = 0
    process_bytes: int = 0

    def seen(self, sizes: list[int], seconds: float) -> Phase:
        """With one sample of the processes."""
        return replace(
            self,
            seconds=self.seconds + seconds,
            tree_bytes=max(self.tree_bytes, sum(sizes)),
            process_bytes=max([self.process_bytes, *sizes]),
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """A line of the table."""
        return self.label, *(f"{size / 1e9:.2f} GB" for size in (self.tree_bytes, self.process_bytes)), self.time

    @property
    def time(self) -> str:
        """In seconds."""
        return f"{self.seconds:.0f} s"


class StoppedError(Exception):
    """The phase that was asked for is over."""


def run_child(job: Job) -> None:
    """The run itself, which tells its phases on stdout."""
    from benchmarks.networks import images, resnet50
    from edgecompress import compress
    from edgecompress.progress import Progress

    class Told(Progress):
        """A line for the beginning of each phase, and one for its end."""

        def track(self, items: Iterable[Any], label: str, *_: Any, **__: Any) -> Any:
            def counted() -> Iterator[Any]:
                with self.step(label):
                    yield from items

            return counted()

        @contextmanager
        def step(self, label: str) -> Iterator[None]:
            print(label, flush=True)
            yield
            print(f"after {label}", flush=True)
            if job.until is not None and label.startswith(job.until):
                raise StoppedError

    def batches() -> Iterator[Any]:
        for start in range(0, job.samples, job.batch):
            yield images(min(job.batch, job.samples - start), seed=start)

    with tempfile.TemporaryDirectory() as folder, suppress(StoppedError):
        compress(resnet50(), target=job.target, calibration=batches, output=Path(folder, "bundle"), progress=Told())


def watch(job: Job) -> list[Phase]:
    """Run a child and look at it and its own children, many times a second."""
    command = [sys.executable, "-m", "benchmarks.memory", CHILD, *job.options]
    labels, phases = ["start"], [Phase(label="start")]
    with Popen(command, stdout=PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=lambda lines: labels.extend(map(str.strip, lines)), args=(process.stdout,))
        reader.start()
        root, last = psutil.Process(process.pid), time.perf_counter()
        while process.poll() is None:
            time.sleep(SAMPLE_EVERY_S)
            now = time.perf_counter()
            if labels[-1] != phases[-1].label:
                phases.append(Phase(label=labels[-1]))
            phases[-1] = phases[-1].seen(_sizes(root), now - last)
            last = now
        reader.join()
    if process.returncode:
        sys.exit(f"the run ended with exit status {process.returncode}")
    return phases


def _sizes(root: psutil.Process) -> list[int]:
    """Resident bytes of a process and of all below it; one that ends meanwhile holds nothing."""
    sizes: list[int] = []
    with suppress(psutil.NoSuchProcess):
        sizes.extend(int(each.memory_info().rss) for each in (root, *root.children(recursive=True)))
    return sizes


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--target", default="mobile")
    parser.add_argument("--until", choices=["calibration", LAST])
    parser.add_argument(CHILD, action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    until = None if given.until is None else LAST
    job = Job(samples=given.samples, batch=given.batch, target=given.target, until=until)
    if given.child:
        return run_child(job)
    phases = watch(job)
    most = max(phases, key=lambda phase: phase.tree_bytes)
    for cells in (("phase", "all processes", "largest", "time"), ("---",) * 4, *(phase.cells for phase in phases)):
        print("|", " | ".join(cells), "|", flush=True)
    total = sum(phase.seconds for phase in phases)
    print(f"\npeak {most.tree_bytes / 1e9:.2f} GB in {most.label!r}, {LIMIT_GB} GB allowed; {total:.0f} s")
    return None


if __name__ == "__main__":
    main()
