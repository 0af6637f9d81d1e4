"""An Android with a shell, over ``adb``: the artifact is timed there by ONNX Runtime's own ``onnxruntime_perf_test``.

The user puts that program there. It gives no outputs, so nothing is known of how well those agree.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx
from onnx import numpy_helper

from edgecompress.arrays import Inputs
from edgecompress.errors import RecipeError
from edgecompress.recipe.device import Device, DeviceUrl, named_url
from edgecompress.system.scratch import scratch_folder
from edgecompress.validation.elsewhere.device.adb import ABANDONED_MIN, PREFIX, Adb, connect
from edgecompress.validation.elsewhere.device.connection import DeviceError
from edgecompress.validation.elsewhere.device.cpu_names import cpu_name
from edgecompress.validation.elsewhere.device.perf_test import (
    DATA,
    PerfTest,
    failure_of,
    read_parts,
    read_runs,
    read_state,
    state_script,
)
from edgecompress.validation.elsewhere.device.program import conditions, cpu_lines
from edgecompress.validation.elsewhere.measured import DeviceFigures
from edgecompress.validation.elsewhere.place import Answer, Handling, handled
from edgecompress.validation.elsewhere.runtimes.ssh import NOTHING, TIME_LIMIT_S
from edgecompress.validation.elsewhere.timed import TimingTask

BASE = "/data/local/tmp"
ARTIFACT, FLOATS, EMPTY = "artifact", "original", "nothing"
CALLED = {ARTIFACT: "compressed", FLOATS: "original"}
PROPERTIES = {
    "device": ("ro.product.manufacturer", "ro.product.model"),
    "chip": ("ro.soc.manufacturer", "ro.soc.model"),
    "system": ("ro.build.version.release",),
}
"""What an Android calls itself, by what a manifest calls it."""
NO_OUTPUTS = "onnxruntime_perf_test gives no outputs, and no times were asked for; give it a timing task"


@dataclass(frozen=True, kw_only=True)
class AdbDevice:
    """An Android, and how the run is set up there.

    Attributes:
        url: whose host is its serial number; empty for the only one.
        settings: the recipe's table.
        limit_s: seconds after which a run counts as failed.
    """

    url: DeviceUrl
    settings: Device = field(default_factory=Device)
    limit_s: float = TIME_LIMIT_S

    def prepared(self, settings: Device) -> AdbDevice:
        """The same device, found to be there with the program that times.

        Raises:
            RecipeError: it is not, or a setting is for a Python, which it has not.
        """
        if settings.onnxruntime is not None:
            raise RecipeError(
                "device.onnxruntime is for a Python, which adb does not use; put another device.runner there"
            )
        place = replace(self, settings=settings)
        try:
            place.look(connect(self.url.host))
        except DeviceError as error:
            raise RecipeError(str(error)) from None
        return place

    @property
    def base(self) -> str:
        """The folder in which the one of a run is made."""
        return self.settings.folder or BASE

    def look(self, adb: Adb) -> None:
        """Whether all that the run needs is there; folders that nobody has any more are removed.

        Raises:
            DeviceError: it is not.
        """
        base, runner = shlex.quote(self.base), shlex.quote(self.settings.runner)
        old = f"find {base} -maxdepth 1 -name '{PREFIX}*' -mmin +{ABANDONED_MIN} -exec rm -rf {{}} ';' 2>/dev/null"
        status, _ = adb.shell(
            f"[ -d {base} ] && [ -w {base} ] || exit 3\n{old}\n[ -f {runner} ] || exit 4\n[ -x {runner} ]"
        )
        if status == 3:
            raise DeviceError(f"folder {self.base!r} on {adb.name} cannot be written; set device.folder to another")
        if status == 4:
            raise DeviceError(
                f"{adb.name} has no {self.settings.runner}; build onnxruntime_perf_test for it and adb push it there,"
                " or set device.runner to where it is"
            )
        if status:
            raise DeviceError(f"{self.settings.runner} on {adb.name} may not be run; adb shell chmod 755 does it")

    def run(self, model: Path, batches: Sequence[Inputs]) -> Answer:  # noqa: ARG002 - as of any place
        """Nothing can be run without timing it."""
        return Answer(failure=NO_OUTPUTS)

    def measure(self, model: Path, batches: Sequence[Inputs], timing: TimingTask) -> Answer:  # noqa: ARG002 - the same
        """Time the model and the float file in turn; there are no outputs."""
        try:
            adb = connect(self.url.host)
            with scratch_folder() as folder, adb.lent(self.base) as there:
                files = {ARTIFACT: model.read_bytes()}
                files |= {} if timing.original is None else {FLOATS: timing.original}
                files |= {EMPTY: onnx.parser.parse_model(NOTHING).SerializeToString()} if timing.weigh else {}
                _lay_out(folder / Path(there).name, files, timing.sample)
                adb.push(folder / Path(there).name, self.base)
                return self._timed(adb, there, timing)
        except DeviceError as error:
            return Answer(failure=str(error))

    def _timed(self, adb: Adb, there: str, timing: TimingTask) -> Answer:
        threads = self.settings.threads or timing.threads
        program = PerfTest(runner=self.settings.runner, threads=threads, cores=self.settings.cores)
        models = [ARTIFACT] if timing.original is None else [FLOATS, ARTIFACT]
        script = program.script(there, models, timing.runs, weighed=EMPTY if timing.weigh else None)
        status, said = adb.shell(script, self.limit_s)
        if status:
            raise DeviceError(f"onnxruntime_perf_test fails on {adb.name}: {failure_of(said)}")
        parts = read_parts(said)
        runs = {name: read_runs(parts, name, timing.runs) for name in models}
        empty = read_runs(parts, EMPTY, 1).peak_bytes if f"{EMPTY} 0" in parts else None
        peaks = {} if empty is None else {CALLED[name]: max(run.peak_bytes - empty, 0) for name, run in runs.items()}
        before, after = (_conditions(parts[name], self.settings.cores) for name in ("before", "after"))
        figures = DeviceFigures(
            artifact_ms=runs[ARTIFACT].times_ms,
            original_ms=runs[FLOATS].times_ms if FLOATS in runs else None,
            threads=threads,
            cores=self.settings.cores,
            memory_bytes=peaks,
            before=before,
            after=after,
        )
        return Answer(ran_on={**_described(adb), "runner": Path(self.settings.runner).name}, measured=figures)


@handled(Handling(step="measure", what="time there with onnxruntime_perf_test", outputs=False))
def find_place(device: str) -> AdbDevice:
    """The device at ``//SERIAL``, which is a URL without its scheme; it is not asked for yet.

    Raises:
        RecipeError: it is no URL.
    """
    return AdbDevice(url=named_url("adb", device))


def _lay_out(folder: Path, files: Mapping[str, bytes], sample: Inputs) -> None:
    """Models as the program wants them: each in a folder of its own, with its inputs in another one there."""
    for name, content in files.items():
        data = folder / name / DATA
        data.mkdir(parents=True)
        (folder / name / "model.onnx").write_bytes(content)
        graph = onnx.load_from_string(content).graph
        constants = {tensor.name for tensor in graph.initializer}
        inputs = [each.name for each in graph.input if each.name not in constants]
        for index, each in enumerate(inputs):
            (data / f"input_{index}.pb").write_bytes(numpy_helper.from_array(sample[each], each).SerializeToString())
        (data / "inputs.txt").write_text("\n".join(inputs))  # adb leaves out folders without a file


def _conditions(text: str, cores: Sequence[int]) -> dict[str, float]:
    """Temperature and clock from what a device shows of itself."""
    with _shown(text) as root:
        known = [int(path.name[3:]) for path in root.glob("sys/devices/system/cpu/cpu[0-9]*")]
        return conditions({*(cores or known)}, root)


def _described(adb: Adb) -> dict[str, str]:
    """What the device calls itself."""
    asked = "\n".join(f"echo $(getprop {' ; getprop '.join(names)})" for names in PROPERTIES.values())
    _, said = adb.shell(f"{asked}\nuname -m\n{state_script('state')}")
    lines = said.partition("\n== ")[0].splitlines()
    found = dict(zip((*PROPERTIES, "machine"), (line.strip() for line in lines), strict=False))
    with _shown(read_parts(said).get("state", "")) as root:
        found["cpu"] = cpu_name(cpu_lines(root))
    found["system"] = f"Android {found['system']}" if found.get("system") else ""
    return {name: value for name, value in found.items() if value}


@contextmanager
def _shown(text: str) -> Iterator[Path]:
    """Files that a device shows, under a root of their own, as programs there read them."""
    with scratch_folder() as root:
        for name, content in read_state(text).items():
            file = root / name.lstrip("/")
            if file.resolve().is_relative_to(root.resolve()):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
        yield root
