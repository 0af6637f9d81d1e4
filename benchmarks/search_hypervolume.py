"""What the search finds next to random search with as many trials: python -m benchmarks.search_hypervolume

Both begin with the target's own recipe, and run real trials of ResNet-20 of the example, which is found through
EDGECOMPRESS_EXAMPLE. These are cheap: few images, no training, and no AdaRound. What a recipe measured is written to
``--measured``, and counts for both and for all seeds: no clock is on the side of either, and the same command goes on.
Latencies are those of the fastest of many runs, so that other programs on the machine do not count. Each front is told
by its hypervolume: the share that its trials beat of the box between the origin (no drop, no time, no bytes) and the
reference, which has the latency and the bytes of the original and a drop of ``DROP`` points. Prints a Markdown table
of the mean and the standard deviation over the seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Subset

from benchmarks.int8_table import machine, version
from benchmarks.main_job import EXAMPLE
from benchmarks.search_storage import line
from edgecompress.arrays import Inputs
from edgecompress.bundle.reading import ARTIFACT
from edgecompress.comparison.digests import digest_row
from edgecompress.comparison.making import Material, identify, kept_on
from edgecompress.comparison.search.search import run_trials
from edgecompress.comparison.search.space import FreeKey, Setting, make_space
from edgecompress.comparison.search.storage import JOURNAL, open_storage, quietly
from edgecompress.comparison.search.study import OBJECTIVES, open_study, read_study
from edgecompress.comparison.search.time_budget import TimedProgress
from edgecompress.comparison.search.trial import TRIALS, Measures
from edgecompress.comparison.search.worker import DIGITS, Worker
from edgecompress.loading.models import load_model
from edgecompress.pipeline.fold import float_original
from edgecompress.progress import Progress
from edgecompress.recipe.arguments import assignments
from edgecompress.runtime import open_session, run_session, to_bytes
from edgecompress.targets import TargetProfile, effective_profile
from edgecompress.timing.interleaving import interleave

IMAGES = {"calibration": ("tr", 64), "evaluation": ("te", 300)}
"""Of CIFAR-10, by role: the split, and how many of it, at equal distances."""
CHEAP: dict[str, Setting] = {
    "pruning.spread": "uniform",
    "quantization.adaround": False,
    "quantization.placement": "table",
    "export.simplify": False,
    "cpu.threads": 1,
    "cpu.runs": 30,
    "quantization.fallback_evaluations": 0,
    "report.examples": 0,
    "budgets.max_accuracy_drop": "none",
    "budgets.min_compression_ratio": "none",
    "budgets.min_speedup": "none",
}
"""Keys that are not searched."""
RUNS = 200
"""Of the original and of an artifact, in turn."""
DROP = 20.0
"""Of the reference, in points."""


@dataclass(frozen=True, kw_only=True)
class Recorder(Worker):
    """A worker that looks up what a recipe measured, and measures what is not there."""

    file: Path
    speedup_of: Callable[[Path], float]
    drawn_by: int = 0
    measures: dict[str, Measures | str] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        return self.drawn_by

    def measured(self, profile: TargetProfile, name: str) -> Measures | str:
        if name not in self.measures:
            found = super().measured(profile, name)
            if not isinstance(found, str):
                found = replace(found, speedup=self.speedup_of(self.folder / TRIALS / name / ARTIFACT))
            self.measures[name] = found
            with self.file.open("a") as lines:
                lines.write(json.dumps([name, found if isinstance(found, str) else asdict(found)]) + "\n")
            print(f"{len(self.measures)} recipes measured", file=sys.stderr, flush=True)
        return self.measures[name]


def recorded_in(file: Path) -> dict[str, Measures | str]:
    """What recipes measured, or why they failed, by the digest of each."""
    if not file.exists():
        return {}
    lines = map(json.loads, file.read_text().splitlines())
    return {name: found if isinstance(found, str) else Measures.read(found) for name, found in lines}


def undisturbed_speedup(original: bytes, inputs: Inputs, artifact: Path) -> float:
    """The original's latency over an artifact's, in the fastest of many runs: other programs only make them slow."""
    sessions = [open_session(model, 1, arithmetic="native") for model in (original, artifact)]
    times = interleave([partial(run_session, session, inputs) for session in sessions], RUNS)
    fastest, own = times.min(0)
    return float(fastest / own)


def by_search(worker: Recorder, trials: int) -> list[Measures | None]:
    """What each trial of the search measured, in their order; None where it failed."""
    with quietly(), tempfile.TemporaryDirectory() as folder:
        study = open_study(open_storage(str(Path(folder) / JOURNAL)), {"benchmark": "1"}, worker.seed)
        run_trials(study, worker, trials)
        known = read_study(study).trials
    return [known[number].measures for number in sorted(known)]


def by_chance(worker: Recorder, trials: int) -> list[Measures | None]:
    """The same of recipes whose keys are drawn evenly, none twice, after the target's own."""
    drawn = np.random.default_rng(worker.seed)

    def pick(choice: FreeKey) -> Setting:
        return choice.values[drawn.integers(len(choice.values))]

    found: dict[str, Measures | str] = {}
    settings = worker.space.own()
    while len(found) < trials:
        profile = worker.space.profile_of(settings)
        name = digest_row(profile.recipe, worker.parts)[:DIGITS]
        found[name] = worker.measured(profile, name)
        settings = worker.space.settings(pick)
    return [None if isinstance(measures, str) else measures for measures in found.values()]


WAYS = {"search": by_search, "random": by_chance}


def hypervolume(points: NDArray[np.float64]) -> float:
    """Share of the unit cube that is no better than one of the points, (n, 3), in all three.

    >>> round(hypervolume(np.array([[0.5, 0.5, 0.5]])), 6)
    0.125
    >>> round(hypervolume(np.array([[0.5, 0.5, 0.5], [0.0, 0.5, 0.75], [0.0, 2.0, 0.0]])), 6)
    0.1875
    """
    inside = np.clip(points, 0.0, 1.0)
    grid = [np.unique([*inside[:, axis], 1.0]) for axis in range(inside.shape[1])]
    sides = np.meshgrid(*map(np.diff, grid), indexing="ij")
    corners = np.stack(np.meshgrid(*(each[:-1] for each in grid), indexing="ij"), axis=-1)
    beaten = (inside <= corners[..., None, :]).all(-1).any(-1)
    return float((np.prod(sides, axis=0) * beaten).sum())


def growth(trials: Sequence[Measures | None]) -> list[float]:
    """The hypervolume of the first trials: of one, of two, and so on to all; a failed one adds nothing."""
    points = np.ones((len(trials), len(OBJECTIVES)))
    for place, measures in enumerate(trials):
        if measures is not None:
            points[place] = np.divide(measures.objectives, (DROP, 1.0, measures.original_bytes))
    return [hypervolume(points[:count]) for count in range(1, len(trials) + 1)]


def row_of(way: str, grown: Sequence[Sequence[float]], checkpoints: Sequence[int]) -> list[str]:
    """Mean and standard deviation over the seeds, in percent, after so many trials."""
    cells = []
    for count in checkpoints:
        found = [100 * each[count - 1] for each in grown]
        cells.append(f"{mean(found):.2f} ± {stdev(found) if len(found) > 1 else 0.0:.2f} %")
    return [way, *cells]


def make_recorder(file: Path, folder: Path) -> Recorder:
    """The worker of all runs: ResNet-20 with few images, in a folder for the bundles."""
    sys.path.insert(0, str(EXAMPLE))
    import data  # type: ignore[import-not-found]

    def some(split: str, rows: int) -> DataLoader[Any]:
        images = data.Cifar10(split)
        return DataLoader(Subset(images, range(0, len(images), len(images) // rows)[:rows]), batch_size=64)

    read = {role: [*some(split, rows)] for role, (split, rows) in IMAGES.items()}
    network = load_model(f"{EXAMPLE}/models.py:resnet20", f"{EXAMPLE}/weights/resnet20.safetensors")
    profile = effective_profile("edge", assignments("settings", CHEAP))
    material = Material(network=network, data=read)
    space = make_space(profile, material.data, fixed=CHEAP)
    found = identify(material, space.profile.recipe, Progress())
    original = to_bytes(float_original(found.opened.network, space.profile.recipe, found.example))
    sample = found.example.sample(1).inputs
    (folder / TRIALS).mkdir()
    return Recorder(
        material=material,
        parts=found.parts,
        space=space,
        folder=folder,
        progress=TimedProgress(Progress(), None),
        tell=lambda _: None,
        kept=kept_on(found, Progress()),
        file=file,
        speedup_of=partial(undisturbed_speedup, original, sample),
        measures=recorded_in(file),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measured", type=Path, required=True, help="what recipes measured; goes on where it is there")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--checkpoints", type=int, nargs="+", default=[8, 16, 24], help="numbers of trials")
    given = parser.parse_args(arguments)
    grown: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        worker = make_recorder(given.measured, Path(folder))
        for seed in range(given.seeds):
            for way, run in WAYS.items():
                grown[way].append(growth(run(replace(worker, drawn_by=seed), max(given.checkpoints))))
    headings = ["way", *(f"{count} trials" for count in given.checkpoints)]
    rows = [row_of(way, each, given.checkpoints) for way, each in grown.items()]
    print(f"{len(worker.measures)} recipes, {given.seeds} seeds; {machine()}, Optuna {version('optuna')}\n")
    print(*map(line, [headings, ["---"] * len(headings), *rows]), sep="\n")


if __name__ == "__main__":
    main()
