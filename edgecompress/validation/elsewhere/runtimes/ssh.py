"""A device of one's own, over OpenSSH: the artifact runs in the Python and ONNX Runtime there, and is timed there."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgecompress.arrays import Inputs
from edgecompress.errors import RecipeError
from edgecompress.recipe.device import Device, DeviceUrl, named_url
from edgecompress.validation.elsewhere.device.connection import Asked, Command, DeviceError, ask, name_of
from edgecompress.validation.elsewhere.device.cpu_names import cpu_name
from edgecompress.validation.elsewhere.device.program import OPERATORS, SITE
from edgecompress.validation.elsewhere.device.wheels import fetch_wheels
from edgecompress.validation.elsewhere.measured import DeviceFigures
from edgecompress.validation.elsewhere.packs import load_outputs, save_batches
from edgecompress.validation.elsewhere.place import Answer, Handling, handled
from edgecompress.validation.elsewhere.timed import TimingTask

TIME_LIMIT_S, PROBE_LIMIT_S = 3600.0, 300.0
PROGRAM, SHARED = "program.py", "interleaving.py"
NOTHING = '<ir_version: 8, opset_import: ["" : 13]> nothing () => (float y) { y = Constant<value_float = 0.0>() }'
MODELS = {"model.onnx": "compressed", "original.onnx": "original"}


@dataclass(frozen=True, kw_only=True)
class SshDevice:
    """A device, and how the run is set up there.

    Attributes:
        url: where it is.
        settings: the recipe's table.
        found: what the device said of itself; empty as long as it was not looked at.
        wheels: that are brought along, by name.
        limit_s: seconds after which a run counts as failed.
    """

    url: DeviceUrl
    settings: Device = field(default_factory=Device)
    found: Mapping[str, Any] = field(default_factory=dict)
    wheels: Mapping[str, bytes] | None = None
    limit_s: float = TIME_LIMIT_S

    def prepared(self, settings: Device) -> SshDevice:
        """The same device, looked at: it can be reached, and has what the run needs or gets it.

        Raises:
            RecipeError: it cannot be reached, or lacks something.
        """
        place = replace(self, settings=settings)
        try:
            found = place.look()
        except DeviceError as error:
            raise RecipeError(str(error)) from None
        place = replace(place, found=found)
        if settings.onnxruntime is not None:
            return replace(place, wheels=fetch_wheels(settings.onnxruntime, found))
        if "missing" in found:
            raise RecipeError(
                f"{name_of(self.url)} has no ONNX Runtime for {settings.python!r} (Python {found['python']}):"
                f" {found['missing']}; install onnxruntime there, name another Python with device.python, or let the"
                " run bring it with device.onnxruntime=VERSION"
            )
        return place

    def look(self) -> dict[str, Any]:
        """What the device says of itself.

        Raises:
            DeviceError: it does not answer.
        """
        files = self._ask({}, [Command(arguments=[PROGRAM, "probe"])], ["probe.json"], PROBE_LIMIT_S)
        return dict(json.loads(files["probe.json"]))

    def run(self, model: Path, batches: Sequence[Inputs]) -> Answer:
        """Run every batch in ONNX Runtime."""
        return self._answer(model, batches, None)

    def measure(self, model: Path, batches: Sequence[Inputs], timing: TimingTask) -> Answer:
        """Run every batch, then time the model and the float file in turn."""
        return self._answer(model, batches, timing)

    @property
    def kind(self) -> dict[str, Any]:
        """What decides how fast it is, apart from threads: equal for two boards of one kind."""
        told = {name: self.found.get(name) for name in ("machine", "model", "cpu", "cores", "onnxruntime")}
        return told if self.wheels is None else {**told, "onnxruntime": sorted(self.wheels)}

    def time_networks(self, networks: Sequence[bytes], sample: Inputs, timing: TimingOptions) -> NDArray[np.float64]:
        """Milliseconds of networks in turn on one sample, shape (runs, networks).

        Raises:
            DeviceError: it does not answer, or ONNX Runtime refuses one there.
        """
        files = {f"network{index}.onnx": content for index, content in enumerate(networks)}
        told = self._timed({**files, "sample.npz": pack([sample])}, timing, list(files))
        return np.array(told["networks_ms"])

    def time_operators(self, operators: Sequence[bytes], timing: TimingOptions) -> list[float]:
        """The least milliseconds of graphs with one float32 input of a fixed shape.

        Raises:
            DeviceError: as :meth:`time_networks`.
        """
        return list(map(float, self._timed({OPERATORS: _archive(operators)}, timing, [])["operators_ms"]))

    def _timed(self, files: Mapping[str, bytes], timing: TimingOptions, networks: Sequence[str]) -> dict[str, Any]:
        called = dict.fromkeys(networks, "a candidate")
        task = {"threads": timing.threads, "runs": timing.runs, "cores": list(self.settings.cores), "called": called}
        document = json.dumps({**task, "networks": list(networks)}).encode()
        command = Command(arguments=[PROGRAM, "times"])
        found = self._ask({**files, "task.json": document}, [command], ["times.json"], self.limit_s)
        return dict(json.loads(found["times.json"]))

    def _answer(self, model: Path, batches: Sequence[Inputs], timing: TimingTask | None) -> Answer:
        task = self._task(timing)
        files = {"model.onnx": model.read_bytes(), "task.json": json.dumps(task).encode(), "inputs.npz": pack(batches)}
        commands = [Command(arguments=[PROGRAM, "run"])]
        wanted = ["outputs.npz", "answer.json"]
        if timing is not None:
            files["sample.npz"] = pack([timing.sample])
            files["nothing.onnx"] = onnx.parser.parse_model(NOTHING).SerializeToString()
            files |= {} if timing.original is None else {"original.onnx": timing.original}
            weighed = [name for name in ("nothing.onnx", *MODELS) if name in files and timing.weigh]
            commands += [Command(arguments=[PROGRAM, "peak", name], needed=False) for name in weighed]
            wanted += [f"{name}.json" for name in weighed]
        try:
            found = self._ask(files, commands, wanted, self.limit_s)
        except DeviceError as error:
            return Answer(failure=str(error))
        told = json.loads(found["answer.json"])
        (model.parent / "outputs.npz").write_bytes(found["outputs.npz"])
        return Answer(
            outputs=load_outputs(model.parent / "outputs.npz", len(batches)),
            ran_on=ran_on(told),
            measured=None if timing is None else _measured(told, found, task["threads"]),
        )

    def _task(self, timing: TimingTask | None) -> dict[str, Any]:
        """What the program there is told."""
        threads = self.settings.threads or (1 if timing is None else timing.threads)
        runs = 0 if timing is None else timing.runs
        called = {} if timing is None else {"original.onnx": timing.called}
        return {"threads": threads, "runs": runs, "cores": list(self.settings.cores), "called": called}

    def _ask(
        self, files: Mapping[str, bytes], commands: Sequence[Command], wanted: Sequence[str], limit_s: float
    ) -> dict[str, bytes]:
        brought = self.wheels or {}
        unpacked = [Command(arguments=["-m", "zipfile", "-e", name, SITE]) for name in brought]
        return ask(
            self.url,
            Asked(
                python=self.settings.python,
                folder=self.settings.folder,
                files={**programs(), **brought, **files},
                commands=[*unpacked, *commands],
                wanted=wanted,
                limit_s=limit_s,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class TimingOptions:
    """How candidates are timed: threads of a session, and runs of each network."""

    threads: int
    runs: int = 0


@handled(Handling(step="measure"))
def find_place(device: str) -> SshDevice:
    """The device at ``//[user@]host[:port]``, which is a URL without its scheme; it is not asked for yet.

    Raises:
        RecipeError: it is no URL.
    """
    return SshDevice(url=named_url("ssh", device))


def programs() -> dict[str, bytes]:
    """What runs on the device, by file name: the program, and next to it what it shares with this package."""
    package = resources.files("edgecompress")
    program = package.joinpath("validation/elsewhere/device", PROGRAM).read_text("utf-8")
    shared = package.joinpath("timing", SHARED).read_bytes()
    return {
        PROGRAM: program.replace("from edgecompress.timing.interleaving", "from interleaving").encode(),
        SHARED: shared,
    }


def pack(batches: Sequence[Inputs]) -> bytes:
    """Batches as the bytes of a file."""
    buffer = io.BytesIO()
    save_batches(buffer, batches)
    return buffer.getvalue()


def ran_on(told: Mapping[str, Any]) -> dict[str, str]:
    """What it ran on, from what the device says of itself."""
    found = {"onnxruntime": told["onnxruntime"], "numpy": told["numpy"], "python": told["python"]}
    found |= {"device": told["model"], "cpu": cpu_name(told["cpu"]), "machine": told["machine"]}
    return {name: str(value) for name, value in {**found, "system": told["system"]}.items() if value}


def _archive(contents: Sequence[bytes]) -> bytes:
    """Files as one, in their order; weights that are equal pack into little."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, content in enumerate(contents):
            archive.writestr(f"{index:06d}.onnx", content)
    return buffer.getvalue()


def _measured(told: Mapping[str, Any], files: Mapping[str, bytes], threads: int) -> DeviceFigures:
    times = np.array(told["times_ms"])
    weighed = [name for name in ("nothing.onnx", *MODELS) if f"{name}.json" in files]
    peaks = {name: json.loads(files[f"{name}.json"])["bytes"] for name in weighed}
    empty = peaks.pop("nothing.onnx", None)
    return DeviceFigures(
        artifact_ms=times[:, -1],
        original_ms=times[:, 0] if times.shape[1] > 1 else None,
        threads=threads,
        cores=tuple(told["cores"]),
        memory_bytes={} if empty is None else {MODELS[name]: max(peak - empty, 0) for name, peak in peaks.items()},
        before=told["before"],
        after=told["after"],
    )
