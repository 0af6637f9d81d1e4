"""The latency of two artifacts in turn in one run, on this machine or on a device of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecompress.arrays import Inputs
from edgecompress.bundle.reading import ARTIFACT
from edgecompress.errors import RecipeError
from edgecompress.progress import Progress
from edgecompress.recipe.device import Device
from edgecompress.recipe.tables import Cpu
from edgecompress.system.scratch import scratch_folder
from edgecompress.targets.cpus import threads_here
from edgecompress.timing.latency import Latency, interleave_sessions, summarize
from edgecompress.timing.noise import doubts_of
from edgecompress.timing.ratios import Ratio
from edgecompress.timing.settling import settle
from edgecompress.validation.elsewhere.place import Answer
from edgecompress.validation.elsewhere.places import NamedPlace, find_places, prepare
from edgecompress.validation.elsewhere.timed import TimedPlace, TimingTask


@dataclass(frozen=True, kw_only=True)
class LatencyChange:
    """Milliseconds of one sample, of both artifacts in turn in one run; ``ratio`` is the old time over the new one.

    Both times are None where the artifacts are one file: there is nothing to tell apart; ``ratio`` is, too, where none
    was asked for. ``device`` is None for this machine; ``ran_on`` says what a device is, ``doubts`` why its times are
    not to be trusted, a line each.
    """

    old: Latency | None
    new: Latency | None
    ratio: Ratio | None
    threads: int
    device: str | None = None
    ran_on: Mapping[str, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    @property
    def entry(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        times = {name: None if time is None else asdict(time) for name, time in (("old", self.old), ("new", self.new))}
        ran = {"threads": self.threads, "device": self.device, "ran_on": dict(self.ran_on), "doubts": list(self.doubts)}
        untimed = dict.fromkeys(("value", "low", "high", "verdict"))
        ratio = untimed if self.ratio is None else {**asdict(self.ratio), "verdict": self.ratio.verdict}
        return {**times, **ratio, **ran}


def device_of(settings: Device) -> NamedPlace | None:
    """The device that a table names, found to be there; None where it names none.

    Raises:
        RecipeError: it cannot be reached, or lacks something.
    """
    if settings.url is None:
        return None
    (named,) = prepare(find_places([settings.url]), settings)
    return named


def time_here(files: Sequence[Path], sample: Inputs, cpu: Cpu, progress: Progress) -> LatencyChange:
    """Both artifacts, the old one first, as long as it takes to tell 2 % apart."""
    threads = threads_here(cpu.threads)
    with progress.step("timing both artifacts"):
        times, ratios = settle(partial(interleave_sessions, files, sample, runs=cpu.runs, threads=threads))
    first, last = (summarize(column) for column in times.T)
    doubts = doubts_of(times[:, 1], ratios[1], "--runs", first_ms=times[:, 0])
    return LatencyChange(old=first, new=last, ratio=ratios[1], threads=threads, doubts=doubts)


def time_there(named: NamedPlace, files: Sequence[Path], sample: Inputs, cpu: Cpu, progress: Progress) -> LatencyChange:
    """The same on a device; each time that it takes more runs, it is asked anew.

    Raises:
        RecipeError: the run there fails, or measures nothing.
    """
    old, new = (file.read_bytes() for file in files)
    timing = TimingTask(
        sample=sample, runs=cpu.runs, threads=cpu.threads, original=old, called="the old artifact", weigh=False
    )
    answers: list[Answer] = []

    def measure() -> NDArray[np.float64]:
        answers.append(_asked(named, new, timing))
        figures = answers[-1].measured
        assert figures is not None
        assert figures.original_ms is not None
        return np.stack([figures.original_ms, figures.artifact_ms], axis=1)

    with progress.step(f"timing both artifacts {named.where}"):
        times, ratios = settle(measure)
    first, last = answers[0].measured, answers[-1].measured
    assert first is not None
    assert last is not None
    figures = replace(last, original_ms=times[:, 0], artifact_ms=times[:, 1], before=first.before)
    before, after = (summarize(column) for column in times.T)
    return LatencyChange(
        old=before,
        new=after,
        ratio=ratios[1],
        threads=figures.threads,
        device=named.name,
        ran_on=answers[-1].ran_on,
        doubts=figures.doubts,
    )


def _asked(named: NamedPlace, artifact: bytes, timing: TimingTask) -> Answer:
    place = named.place
    if not isinstance(place, TimedPlace):
        raise RecipeError(f"{named.told} measures no times; name a device, as ssh://pi@raspberrypi.local")
    with scratch_folder() as folder:
        file = folder / ARTIFACT
        file.write_bytes(artifact)
        answer = place.measure(file, [timing.sample], timing)
    if answer.failure is not None:
        raise RecipeError(answer.failure)
    if answer.measured is None or answer.measured.original_ms is None:
        raise RecipeError(f"{named.told} measured no times; repair that package")
    return answer
