"""An Android without one: a program in the place of ``adb`` that has a folder and this machine's shell for a device.

What runs the models there writes and prints what ONNX Runtime's ``onnxruntime_perf_test`` does (performance_runner.cc):
either it runs them, or its times are those that a test sets.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ADB = """#!/bin/sh
[ "$1" != -s ] || {{ serial=$2; shift 2; }}
what=$1
[ "$what" = devices ] || shift
case $what in
devices) cat {folder}/devices;;
push) {push}
    [ $# = 2 ] && cp -r "$1" "$2" && echo "$1: 1 file pushed, 0 skipped.";;
pull) cp -r "$1" "$2";;
shell) {shell}
    PATH={folder}/bin:$PATH exec sh -c "$*";;
*) echo "adb: usage: unknown command $what" >&2; exit 1;;
esac
"""
GETPROP = """#!/bin/sh
case $1 in
ro.product.manufacturer) echo Google;;
ro.product.model) echo "Pixel 8";;
ro.soc.manufacturer) echo Google;;
ro.soc.model) echo "Tensor G3";;
ro.build.version.release) echo 14;;
esac
"""
# As in performance_runner.cc: what is printed after the runs, and a line for each run in the file of results.
PERF_TEST = """
import sys, time
from pathlib import Path

options = dict(zip(sys.argv[1:-2:2], sys.argv[2:-2:2]))
model, result = map(Path, sys.argv[-2:])
assert options["-m"] == "times" and model.is_absolute()
count = int(options["-r"])
{times}
with result.open("a") as file:
    for index, seconds in enumerate(times):
        print(model.parent.name, "%g" % seconds, peak, 97, index, sep=",", file=file)
print("Setting intra_op_num_threads to", options["-x"])
print("Session creation time cost: 0.0217932 s")
print("First inference time cost: 1 ms")
print("Total inference time cost: %g s" % sum(times))
print("Total inference requests:", count)
print("Average inference time cost total: %f ms" % (1000 * sum(times) / count))
print("Total inference run time: %g s" % sum(times))
print("Number of inferences per second: %g " % (count / sum(times)))
print("Avg CPU usage: 97 %")
print("Peak working set size:", peak, "bytes")
"""
RUN = """
import onnx, onnxruntime, resource
from onnx import numpy_helper

data = sorted((model.parent / "test_data_set_0").glob("input_*.pb"))
tensors = [onnx.TensorProto.FromString(file.read_bytes()) for file in data]
feed = {tensor.name: numpy_helper.to_array(tensor) for tensor in tensors}
setup = onnxruntime.SessionOptions()
setup.intra_op_num_threads = int(options["-x"])
session = onnxruntime.InferenceSession(str(model), setup, providers=["CPUExecutionProvider"])
session.run(None, feed)
times = []
for _ in range(count):
    begin = time.perf_counter()
    session.run(None, feed)
    times.append(time.perf_counter() - begin)
peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""
SET = """
seconds = {"artifact": 0.008, "original": 0.024, "nothing": 0.001}[model.parent.name]
times = [seconds] * count
peak = {"artifact": 30_000_000, "original": 50_000_000, "nothing": 20_000_000}[model.parent.name]
"""


@dataclass(frozen=True, kw_only=True)
class Android:
    """A folder that stands for a device.

    Attributes:
        folder: of the programs.
        room: in which a run has its own folder.
        runner: the path of the program that times.
    """

    folder: Path
    room: Path
    runner: Path
    url: str = "adb://emulator-5554"

    @property
    def settings(self) -> dict[str, Any]:
        """The keys of the table ``device`` that name what is here."""
        return {"folder": str(self.room), "runner": str(self.runner)}

    @property
    def left(self) -> list[str]:
        """What lies in the room."""
        return sorted(path.name for path in self.room.iterdir())

    def attached(self, *lines: str) -> None:
        """What ``adb devices`` lists."""
        (self.folder / "devices").write_text(
            "List of devices attached\n" + "".join(f"{line}\n" for line in lines) + "\n"
        )

    def adb(self, *, push: str = "", shell: str = "") -> None:
        """The program, with shell commands that it runs before it pushes, and before the shell there."""
        program = self.folder / "adb"
        program.write_text(ADB.format(folder=self.folder, push=push, shell=shell))
        program.chmod(0o755)

    def perf_test(self, times: str = SET) -> None:
        """The program that times, by how it comes to its times."""
        self.runner.write_text(f"#!{sys.executable}\n" + PERF_TEST.replace("{times}", times))
        self.runner.chmod(0o755)


def android(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Android:
    """A device that is attached, whose times are set."""
    for name in ("bin", "the room"):
        (folder / name).mkdir(parents=True)
    found = Android(folder=folder, room=folder / "the room", runner=folder / "onnxruntime_perf_test")
    getprop = folder / "bin" / "getprop"
    getprop.write_text(GETPROP)
    getprop.chmod(0o755)
    found.adb()
    found.perf_test()
    found.attached("emulator-5554\tdevice")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return found
