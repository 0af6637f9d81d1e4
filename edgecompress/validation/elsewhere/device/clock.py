"""A device that times candidates for a goal in latency; what its operators take is measured once, and kept.

Times lie in the user's cache, in a file for each kind of device: two boards of one kind share it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.arrays import Inputs
from edgecompress.errors import OutputError, RecipeError, plural
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import to_bytes
from edgecompress.system.durable import update_whole
from edgecompress.system.user_folder import user_folder
from edgecompress.validation.elsewhere.device.connection import DeviceError, name_of
from edgecompress.validation.elsewhere.places import NamedPlace
from edgecompress.validation.elsewhere.runtimes.ssh import SshDevice, TimingOptions

AT_ONCE = 64
"""Operators in one request: what it holds in memory, and what an interruption loses."""


def kept_times() -> Path:
    """The folder of the times of all kinds of devices."""
    return user_folder("devices")


@dataclass(frozen=True, kw_only=True)
class DeviceClock:
    """A device, the threads of its sessions, the folder in which times are kept, and what is told of long work."""

    device: SshDevice
    threads: int
    folder: Path
    progress: Progress

    def networks(self, models: Sequence[ir.Model], inputs: Inputs, runs: int) -> NDArray[np.float64]:
        """Milliseconds of networks in turn, shape (runs, networks).

        Raises:
            RecipeError: the device cannot be used.
        """
        with self.progress.step(f"timing on {name_of(self.device.url)}"):
            try:
                return self.device.time_networks(
                    [to_bytes(model) for model in models], inputs, TimingOptions(threads=self.threads, runs=runs)
                )
            except DeviceError as error:
                raise RecipeError(str(error)) from None

    def operators(self, models: Iterable[ir.Model]) -> list[float]:
        """The least milliseconds of each graph: as it is kept, or measured now and kept.

        Raises:
            RecipeError: the device cannot be used.
        """
        known, asked = self._read(), list[str]()
        for batch in _batches(map(to_bytes, models)):
            keys = [self._key(content) for content in batch]
            asked += keys
            missing = {key: content for key, content in zip(keys, batch, strict=True) if key not in known}
            if missing:
                known |= zip(missing, self._measured(list(missing.values())), strict=True)
                self._keep(known)
        return [known[key] for key in asked]

    @property
    def file(self) -> Path:
        """Where the times of this kind of device are kept."""
        described = json.dumps(self.device.kind, sort_keys=True).encode()
        return self.folder / f"{hashlib.sha256(described).hexdigest()[:16]}.json"

    def _key(self, content: bytes) -> str:
        setting = f"{self.threads} {list(self.device.settings.cores)} ".encode()
        return hashlib.sha256(setting + content).hexdigest()

    def _measured(self, contents: Sequence[bytes]) -> list[float]:
        with self.progress.step(f"timing {plural(len(contents), 'operator')} on {name_of(self.device.url)}"):
            try:
                return self.device.time_operators(contents, TimingOptions(threads=self.threads))
            except DeviceError as error:
                raise RecipeError(str(error)) from None

    def _read(self) -> dict[str, float]:
        """What is known; nothing where the file is not there, or is not of ours."""
        try:
            times = json.loads(self.file.read_bytes())["times_ms"]
            return {key: float(value) for key, value in times.items() if 0 < float(value) < np.inf}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return {}

    def _keep(self, known: Mapping[str, float]) -> None:
        """Add what is known to what other runs kept meanwhile."""

        def merged() -> bytes:
            document = {"device": self.device.kind, "times_ms": {**self._read(), **known}}
            return json.dumps(document, indent=1, sort_keys=True).encode()

        try:
            update_whole(self.file, merged)
        except OutputError as error:
            self.progress.warn(f"the times of the device are not kept: {error}")


def clock_of(
    places: Iterable[NamedPlace], recipe: Recipe, progress: Progress, *, derives: bool = False
) -> DeviceClock | None:
    """The clock of the device that a recipe names, among places that were prepared; None where it names none.

    Args:
        places: that were prepared.
        recipe: which names the device.
        progress: told of long work.
        derives: whether a student is derived for the latency budgets.

    Raises:
        RecipeError: candidates are to be timed on a device that times only whole files.
    """
    for named in places:
        if named.name == recipe.device.url and not isinstance(named.place, SshDevice):
            _require_no_candidates(named.name, recipe, derives)
        elif named.name == recipe.device.url:
            assert isinstance(named.place, SshDevice)
            threads = recipe.device.threads or recipe.cpu.threads
            return DeviceClock(device=named.place, threads=threads, folder=kept_times(), progress=progress)
    return None


def _require_no_candidates(name: str, recipe: Recipe, derives: bool) -> None:
    own = "give a small network of your own as the model and the large one as the teacher (--teacher)"
    asked = [(f"{goal!r} needs", "leave it out") for goal in recipe.goals_in_time]
    asked += [("finding a small network that keeps the latency budgets needs", own)] if derives else []
    if asked:
        what, fix = asked[0]
        raise RecipeError(
            f"{what} the times of candidates, and {name} times only whole files; {fix}, or give a device as ssh://HOST"
        )


def _batches(contents: Iterator[bytes]) -> Iterator[list[bytes]]:
    while batch := list(islice(contents, AT_ONCE)):
        yield batch
