"""Runs that are killed, that find the disk full, or that meet: python -m benchmarks.kills [--kills 50] [--json]

Each run is a whole ``edgecompress compress`` of a small network, forked from a process that has imported everything,
so that the moments fall into its work: a float ONNX file is quantized, or a PyTorch model is pruned and trained before.
Every second kill waits until the bundle is being written. Afterwards the output has to be the bundle that was there
before, a new one, or absent, and the next run has to work and to leave nothing else. A full disk is a small tmpfs,
which only root can mount, and a limit on the size of files, which anybody can set; they grow until a run succeeds.
Prints a Markdown table; the exit status is 1 where anything was broken.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import edgecompress.pipeline.compress  # noqa: F401 - before the forks, so that the runs begin with work
from edgecompress.bundle.reading import read_bundle
from edgecompress.cli import main
from edgecompress.errors import EdgecompressError
from edgecompress.system.durable import partial_of

ROOT = Path(__file__).resolve().parent.parent
NETS = """
from tests.networks import ConvNet, images, seeded

def net(): return seeded(ConvNet)
def data(): return images()
"""
QUICK = "--calibration nets.py:data --set export.simplify=false --overwrite"
EXPORT = f"compress nets.py:net {QUICK} --set quantization.enabled=false --output"
RUN = f"compress float/model.onnx {QUICK} --set quantization.adaround=false --output"
TRAIN = (
    f"compress nets.py:net {QUICK} --train nets.py:data --target edge --set training.epochs=2 --set pruning.multiple=1"
    " --set pruning.spread=uniform --set quantization.adaround=false --output"
)
WRITING_SECONDS = 0.15
Prepare = Callable[[], None]


@dataclass(kw_only=True)
class Tally:
    """What came of the runs of one kind; ``faults`` are those that broke a promise."""

    kind: str
    states: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, state: str, fault: str | None) -> None:
        """One more run."""
        self.states[state] += 1
        if fault is not None:
            self.faults.append(fault)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A process that compresses, and the pipe that holds what it says: a pipe is never full of so little."""

    process: int
    said: int

    def finish(self) -> tuple[int, str]:
        """Exit status, negative for a signal, and what was said."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        with os.fdopen(self.said, errors="replace") as said:
            return status, said.read()


@dataclass(frozen=True, kw_only=True)
class Playground:
    """A folder with a network in it."""

    folder: Path

    def start(self, output: Path, prepare: Prepare = lambda: None, command: str = RUN) -> Run:
        """Begin a run; ``prepare`` is called in its process."""
        reading, writing = os.pipe()
        child = os.fork()
        if child:
            os.close(writing)
            return Run(process=child, said=reading)
        os.close(reading)
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(writing)
        os.chdir(self.folder)
        prepare()
        os._exit(main([*command.split(), str(output)]))

    def run(self, output: Path, prepare: Prepare = lambda: None, command: str = RUN) -> tuple[int, str]:
        """A whole run: its exit status and what it said."""
        return self.start(output, prepare, command).finish()


def wrong_end(status: int, said: str) -> str | None:
    """What is wrong with the end of a run, which has to end well or in one line."""
    if status in (0, 1):
        return None
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    whole = status == 2 and len(lines) == 1 and "Traceback" not in said
    return None if whole and ("choose another" in lines[0] or "set TMPDIR" in lines[0]) else f"exit {status}: {said}"


def state_of(output: Path, old: str | None) -> tuple[str, str | None]:
    """``old``, ``new``, ``absent`` or ``broken``, and what is wrong."""
    if not output.exists():
        return "absent", None if old is None else "the old bundle is gone"
    try:
        bundle = read_bundle(output)
    except EdgecompressError as error:
        return "broken", str(error)
    return ("old" if str(bundle.manifest.files) == old else "new"), None


def identity(output: Path) -> str | None:
    """What tells one bundle from another: reports hold times, and differ in each."""
    return str(read_bundle(output).manifest.files) if output.exists() else None


def kills(place: Playground, what: str, command: str, count: int) -> Iterator[Tally]:
    """Kill runs of a command, half of them over nothing and half over an old bundle."""
    draw, output = random.Random(0), place.folder / "out"
    start = time.monotonic()
    status, said = place.run(output, command=command)
    if status not in (0, 1):
        sys.exit(f"not even an undisturbed run ends well: {said}")
    seconds = time.monotonic() - start
    fresh, over = Tally(kind=f"{what} killed, no bundle before"), Tally(kind=f"{what} killed, over a bundle")
    for number in range(count):
        if number % 2 == 0:
            shutil.rmtree(output, ignore_errors=True)
        old, run = identity(output), place.start(output, command=command)
        if number % 4 < 2:
            time.sleep(draw.uniform(0, seconds))
        else:
            wait_for(partial_of(output) / "bundle", seconds * 5)
            time.sleep(draw.uniform(0, WRITING_SECONDS))
        os.kill(run.process, signal.SIGKILL)
        run.finish()
        state, fault = state_of(output, old)
        status, said = place.run(output, command=command)
        left = [path.name for path in place.folder.glob("*out*") if path != output]
        if status not in (0, 1) or state_of(output, None)[0] != "new" or left:
            fault = f"the next run did not work: exit {status}, left {left}: {said}"
        (over if number % 2 else fresh).add(state, fault)
    yield from (fresh, over)


def wait_for(path: Path, seconds: float) -> None:
    """Until something is there."""
    end = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.001)


def full_tmpfs(place: Playground, role: str) -> Tally:
    """A tmpfs for the output or for temporary files, larger and larger until a run succeeds."""
    tally, status = Tally(kind=f"full tmpfs, {role}"), 2
    for pages in range(1, 1000):
        if status in (0, 1):
            break
        with mounted(place.folder / "small", f"size={pages * 4096}") as small:
            output = (small if role == "output" else place.folder) / "full"
            status, said = place.run(
                output, functools.partial(use_as_temporary, small) if role != "output" else nothing
            )
            state, fault = state_of(output, None)
            left = [entry.name for entry in small.iterdir() if entry != output]
            tally.add(f"exit {status}, {state}", fault or wrong_end(status, said) or (f"left {left}" if left else None))
        shutil.rmtree(place.folder / "full", ignore_errors=True)
    return tally


def nothing() -> None:
    """What most runs prepare."""


def use_as_temporary(folder: Path) -> None:
    """Temporary files of this process, and of those that it starts."""
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def limit_files(size_bytes: int) -> None:
    """No file of this process, and of those that it starts, grows beyond a limit."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))


def small_files(place: Playground) -> Tally:
    """No file may grow beyond a limit, be it of the bundle or a temporary one; the old bundle stays."""
    tally, output, status = Tally(kind="limit on file sizes"), place.folder / "limited", 2
    place.run(output)
    for kilobytes in range(0, 1000, 2):
        if status in (0, 1):
            break
        old = identity(output)
        status, said = place.run(output, functools.partial(limit_files, kilobytes * 1024))
        state, fault = state_of(output, old)
        tally.add(f"exit {status}, {state}", fault or wrong_end(status, said))
    return tally


def read_only(place: Playground) -> Tally:
    """An output in a file system that is mounted for reading."""
    tally = Tally(kind="read-only output")
    with mounted(place.folder / "small", "ro") as small:
        status, said = place.run(small / "out")
    tally.add(f"exit {status}", wrong_end(status, said) if status == 2 else f"exit {status}")
    return tally


def meetings(place: Playground, count: int) -> Tally:
    """Two runs into one folder at once: one is refused or both are whole, and a whole bundle is there."""
    tally, output = Tally(kind="two at once"), place.folder / "met"
    for _ in range(count):
        ends = sorted(run.finish() for run in [place.start(output), place.start(output)])
        state, fault = state_of(output, None)
        faults = [fault, *(wrong_end(*end) for end in ends), None if ends[0][0] in (0, 1) else "both were refused"]
        tally.add(f"exits {ends[0][0]} and {ends[1][0]}, {state}", next(filter(None, faults), None))
    return tally


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A tmpfs."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def can_mount(folder: Path) -> bool:
    """Whether this user can mount a tmpfs."""
    try:
        with mounted(folder, "size=4096"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def tallies(place: Playground, count: int) -> Iterator[Tally]:
    """Every kind of run."""
    place.start(place.folder / "float", command=EXPORT).finish()
    yield from kills(place, "quantization", RUN, count)
    yield from kills(place, "training", TRAIN, count)
    yield meetings(place, max(1, count // 10))
    yield small_files(place)
    if can_mount(place.folder / "small"):
        yield from (full_tmpfs(place, "output"), full_tmpfs(place, "TMPDIR"), read_only(place))


def report(found: Tally) -> str:
    """A line of the table."""
    states = ", ".join(f"{count} x {state}" for state, count in sorted(found.states.items()))
    return f"| {found.kind} | {found.states.total()} | {states} | {len(found.faults)} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)
    with tempfile.TemporaryDirectory(prefix="edgecompress-kills-") as name:
        (Path(name) / "nets.py").write_text(NETS)
        results = []
        if not asked.json:
            print("| what | runs | what was there afterwards | broken |\n| --- | ---: | --- | ---: |")
        for each in tallies(Playground(folder=Path(name)), asked.kills):
            results.append(each)
            if not asked.json:
                print(report(each), flush=True)
    if asked.json:
        print(
            json.dumps(
                [{"what": result.kind, "states": result.states, "faults": result.faults} for result in results],
                indent=2,
            )
        )
    for result in results:
        for fault in result.faults[:3]:
            print(f"{result.kind}: {fault}", file=sys.stderr)
    sys.exit(any(result.faults for result in results))
