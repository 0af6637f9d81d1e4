"""ONNX Runtime's ``onnxruntime_perf_test`` as it runs on a device: its command lines, and what it writes.

With ``-m times -r RUNS MODEL RESULT`` it runs the first data set next to the model once to warm up, then RUNS times,
and writes a line for each run: the folder's name, seconds, the most bytes of the process, its share of the CPU, a
number. It gives no outputs. What it prints has the mean, which is held against these lines.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from edgecompress.validation.elsewhere.device.connection import DeviceError

TOGETHER = 10
"""Runs of a file before the other file has its turn; each turn is a new process."""
DATA = "test_data_set_0"
LINE = re.compile(r"[^,\n]*,([0-9.eE+-]+),([0-9]+),-?[0-9]+,[0-9]+")
MEAN = re.compile(r"Average (?:inference )?time cost(?: total)?: *([0-9.eE+-]+) ms")
SAME_MEAN = 0.01
PART, FILE, FAILED = "== ", "-- ", "failed"
"""What begins the line that names a part of what the script says, and a file; and the part of a failure."""
READABLE = (
    "/proc/cpuinfo",
    "/sys/class/thermal/thermal_zone*/temp",
    "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq",
)
"""Files that tell what a device is, and how warm and fast."""


@dataclass(frozen=True, kw_only=True)
class PerfTest:
    """How the program is run.

    Attributes:
        runner: its path there; libraries next to it are found.
        threads: of a session.
        cores: the numbers of those that it keeps to; all where there are none.
    """

    runner: str
    threads: int
    cores: Sequence[int] = ()

    def script(self, folder: str, models: Sequence[str], runs: int, *, weighed: str | None = None) -> str:
        """A shell script that times models in turn.

        Args:
            folder: of the request there; each model is ``NAME/model.onnx`` in it.
            models: names, in the order of their first turn.
            runs: of each.
            weighed: the name of a model that is run once, and may fail, for the memory that any process takes.
        """
        lines = [f"cd {shlex.quote(folder)} || exit 1", *_state("before")]
        if weighed is not None:
            lines += [f"{self._run(weighed, 0, 1)} && {_told(weighed, 0)}"]
        for turn, count in enumerate(turns(runs)):
            for name in models if turn % 2 == 0 else reversed(models):
                failed = f"{{ echo '{PART}{FAILED}'; cat log; exit 1; }}"
                lines += [f"{self._run(name, turn, count)} || {failed}", _told(name, turn)]
        return "\n".join([*lines, *_state("after"), "true"])

    def _run(self, name: str, turn: int, count: int) -> str:
        found = f"LD_LIBRARY_PATH={shlex.quote(str(PurePosixPath(self.runner).parent))}"
        kept = [f"taskset {sum(1 << core for core in self.cores):x}"] if self.cores else []
        files = f'"$PWD/{name}/model.onnx" "$PWD/{name}.{turn}"'
        options = f"-m times -r {count} -x {self.threads} {files} > log 2>&1"
        return " ".join([found, *kept, shlex.quote(self.runner), options])


@dataclass(frozen=True, kw_only=True)
class TimedRuns:
    """What the program wrote of a model.

    Attributes:
        times_ms: of the runs in their order, (runs,).
        peak_bytes: the most memory of a process.
    """

    times_ms: NDArray[np.float64]
    peak_bytes: int


def turns(runs: int) -> list[int]:
    """How many runs of a file there are in each of its turns.

    >>> turns(100) == [10] * 10, turns(25), turns(3)
    (True, [9, 8, 8], [3])
    """
    count = math.ceil(runs / TOGETHER)
    return [runs // count + (turn < runs % count) for turn in range(count)]


def read_parts(said: str) -> dict[str, str]:
    """What a script says, by the title of each part.

    >>> read_parts("noise\\n== before\\n42\\n== artifact 0\\na,1e-3,4096,50,0\\n")
    {'before': '42\\n', 'artifact 0': 'a,1e-3,4096,50,0\\n'}
    """
    found = re.split(rf"^{PART}(.*)\n", said, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def read_runs(parts: Mapping[str, str], name: str, runs: int) -> TimedRuns:
    """The runs of a model.

    Raises:
        DeviceError: they are not as many as were asked for, or not what the program prints of them.
    """
    turned = [_read_turn(parts.get(f"{name} {turn}", ""), count) for turn, count in enumerate(turns(runs))]
    return TimedRuns(
        times_ms=np.concatenate([each.times_ms for each in turned]), peak_bytes=max(each.peak_bytes for each in turned)
    )


def _read_turn(text: str, count: int) -> TimedRuns:
    lines, mean = [found for line in text.splitlines() if (found := LINE.fullmatch(line))], MEAN.search(text)
    times = 1000 * np.array([float(found[1]) for found in lines])
    if len(lines) != count or mean is None or not (times > 0).all():
        raise DeviceError(
            "the program at device.runner writes no times as onnxruntime_perf_test does; look at its version"
        )
    if abs(times.mean() - float(mean[1])) > SAME_MEAN * float(mean[1]):
        raise DeviceError(
            f"the program at device.runner writes other times than it prints: {mean[0]}; look at its version"
        )
    return TimedRuns(times_ms=times, peak_bytes=max(int(found[2]) for found in lines))


def read_state(text: str) -> dict[str, str]:
    """The files that a device shows of itself, by path."""
    found = re.split(rf"^{FILE}(/.*)\n", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def state_script(title: str) -> str:
    """A shell script that shows these files."""
    return "\n".join(_state(title))


def failure_of(said: str) -> str:
    """What the program says of why it failed: the first line that names an error, or the last.

    >>> failure_of("Setting intra_op_num_threads to 1\\nLoad model failed: Unsupported model IR version: 10\\n")
    'Load model failed: Unsupported model IR version: 10'
    """
    text = read_parts(said).get(FAILED, said)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = (line for line in lines if re.search(r"fail|error|cannot|not found|denied|no space", line, re.IGNORECASE))
    return next(named, lines[-1] if lines else "it says nothing")


def _told(name: str, turn: int) -> str:
    """Commands that show what was written and printed."""
    return f"{{ echo '{PART}{name} {turn}'; grep 'Average .*time cost' log; cat {name}.{turn}; }}"


def _state(title: str) -> list[str]:
    shown = f'[ -r "$file" ] && echo "{FILE}$file" && cat "$file"'
    return [f"echo '{PART}{title}'", f"for file in {' '.join(READABLE)}; do {shown}; done 2>/dev/null"]
