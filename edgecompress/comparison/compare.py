"""Every row of the reference table for one model; what was measured already, and is made of the same, is kept."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecompress.bundle.manifest import metric_entry
from edgecompress.bundle.reading import read_bundle
from edgecompress.comparison.digests import digest_code, digest_row
from edgecompress.comparison.making import Material, identify, kept_for, kept_on, make_bundle
from edgecompress.comparison.measured import FILE, Measured, Timing, keep, recall
from edgecompress.comparison.rows import ROWS, Row, needed, profiles_of, title_of, with_recipes
from edgecompress.comparison.search.front import front_of
from edgecompress.comparison.sources import digest_sources
from edgecompress.comparison.tables import as_csv, as_markdown
from edgecompress.data.batches import Batch
from edgecompress.errors import EdgecompressError, OutputError, RecipeError
from edgecompress.exporters.finish import compact
from edgecompress.loading.metrics import AS_NAMED, MeasuredBy
from edgecompress.loading.sources import Data
from edgecompress.metrics.bootstrap import Interval
from edgecompress.metrics.metric import DEFAULT
from edgecompress.pipeline.fold import float_original
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.recipe.wording import ADVISES
from edgecompress.runtime import Network, open_session, session_rows
from edgecompress.system.durable import replacing
from edgecompress.targets import TargetProfile
from edgecompress.targets.cpus import threads_here
from edgecompress.techniques.kept import Kept
from edgecompress.timing.latency import interleave_sessions
from edgecompress.timing.noise import doubts_of
from edgecompress.timing.ratios import ratio_of
from edgecompress.validation.drops import Drop

ORIGINAL = ROWS[0].key
MARKDOWN, CSV = "comparison.md", "comparison.csv"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The rows in order, the folder that holds them and their bundles, and the keys of those that were measured now."""

    folder: Path
    rows: tuple[Measured, ...] = field(metadata=ADVISES)
    fresh: tuple[str, ...]

    @property
    def front(self) -> tuple[str, ...]:
        """The keys of the rows that no other one beats in the metric, the latency and the bytes; none without labels.

        Latencies differ where the 95 % intervals of the speedups do not overlap.
        """
        figures = {place: found for place, row in enumerate(self.rows) if (found := _figures(row)) is not None}
        front = front_of(figures)
        return tuple(row.key for place, row in enumerate(self.rows) if place in front)

    def document(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        rows = [row.document() for row in self.rows]
        return {
            "rows": rows,
            "front": list(self.front),
            "measured_now": list(self.fresh),
            "folder": str(self.folder),
        }


@dataclass(frozen=True, kw_only=True)
class _Figures:
    metric_drop: float
    size_bytes: int
    speedup: float
    speedup_interval_95: Interval


def _figures(row: Measured) -> _Figures | None:
    """What decides whether a row beats another; None where it is not known."""
    if row.timing is None or row.size_bytes is None or row.metric_drop is None:
        return None
    timing = row.timing
    return _Figures(
        metric_drop=row.metric_drop,
        size_bytes=row.size_bytes,
        speedup=timing.speedup,
        speedup_interval_95=(timing.low, timing.high),
    )


def compare(
    network: Network,
    *,
    calibration: Data,
    evaluation: Data | None = None,
    train: Data | None = None,
    output: str | Path,
    overrides: Sequence[str] = (),
    recipes: Sequence[str | Path] = (),
    progress: Progress | None = None,
    tell: Callable[[Measured], None] = lambda _: None,
    by: MeasuredBy = AS_NAMED,
    model: str | None = None,
    weights: str | Path | None = None,
) -> Comparison:
    """Compress a model that is loaded in every way, and measure what each artifact is.

    The other arguments, and the errors, are those of :func:`edgecompress.compare`, which loads the model and names the
    folder.

    Args:
        by: what decides in every row, what the outputs become before, and the loss, in place of what the recipes name.
        model: the name that the network was given by.
        weights: the file that they were given by.
    """
    progress, folder = progress or Progress(), Path(output)
    given = {"calibration": calibration, "evaluation": evaluation, "train": train}
    data = {role: value for role, value in given.items() if value is not None}
    material = Material(network=network, data=data, by=by, model=model, weights=weights)
    table = with_recipes(recipes)
    profiles = {key: material.named_in(profile) for key, profile in profiles_of(overrides, table).items()}
    prepare_folder(folder, table)
    first = profiles[ORIGINAL].recipe
    made_of = identify(material, first, progress, [key for each in profiles.values() for key in each.asked])
    opened, example = made_of.opened, made_of.example
    known, steps = recall(folder), kept_on(made_of, progress)
    on_own_code = {key: kept_for(steps, material, each.recipe, first) for key, each in profiles.items()}
    codes = {key: _code_of(network, each.recipe, by) for key, each in profiles.items()}  # before a row loads more
    others = [row for key, row in known.items() if key not in profiles]
    rows: list[Measured] = []
    fresh: list[str] = []
    for row in table:
        recipe = profiles[row.key].recipe
        digest = digest_row(recipe, {**made_of.parts, **codes[row.key]})
        kept = known.get(row.key)
        if kept is None or kept.digest != digest or not _whole(folder / row.key, kept):
            kept = _measure(row, material, profiles[row.key], folder, digest, progress, on_own_code[row.key])
            fresh.append(row.key)
        rows.append(kept)
        keep(folder, [*rows, *(row for key, row in known.items() if key not in {done.key for done in rows})])
        tell(kept)
    if any(row.there and row.timing is None for row in rows):
        with progress.step("measuring latency"):
            original = compact(float_original(opened.network, opened.recipe, example))
            rows = _timed(rows, folder, original, example, opened.recipe)
        keep(folder, [*rows, *others])
    _write_tables(folder, rows)
    return Comparison(folder=folder, rows=tuple(rows), fresh=tuple(fresh))


def prepare_folder(folder: Path, table: Sequence[Row] = ROWS) -> None:
    """Make the folder of a comparison, or see that all in it is of one: of these rows, or of others that it keeps.

    Raises:
        OutputError: it holds other things, or cannot be made or read.
    """
    rows = "|".join(re.escape(key) for key in {*(row.key for row in table), *recall(folder)})
    files = "|".join(re.escape(name) for name in (FILE, MARKDOWN, CSV))
    ours = re.compile(rf"({rows})(\.checkpoints)?|\.({rows}|{files})\.partial|{files}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise OutputError(f"{str(folder)!r} cannot be used: {error.strerror}; choose another --output") from error
    strange = [name for name in found if not ours.fullmatch(name)]
    if FILE not in found:  # a run that was killed in its first row has no table yet either
        strange += [name for name in (MARKDOWN, CSV) if name in found]
    if strange:
        raise OutputError(
            f"{str(folder)!r} holds other things, {strange[0]!r} for one; choose an empty folder (--output)"
        )


def _code_of(network: Network, recipe: Recipe, by: MeasuredBy) -> dict[str, str]:
    """Digests of the code that a row is measured by, with all that it may import; where that is not known, of no other
    row."""
    own = digest_code(recipe, by)
    return {**own, "sources": digest_sources(network, recipe, by) or uuid.uuid4().hex} if own else {}


def _whole(bundle: Path, row: Measured) -> bool:
    """Whether the bundle of a row is there still, every byte of it; a row without one has its reason."""
    if not row.there:
        return True
    try:
        read_bundle(bundle)
    except EdgecompressError:
        return False
    return True


def _measure(
    row: Row,
    material: Material,
    profile: TargetProfile,
    folder: Path,
    digest: str,
    progress: Progress,
    steps: Kept | None,
) -> Measured:
    title = row.title or title_of(profile.recipe)
    lacking = [role for role in needed(row, profile.recipe) if role not in material.data]
    if lacking:
        return Measured(key=row.key, title=title, digest=digest, missing=f"needs {lacking[0]} data")
    try:
        metrics = make_bundle(material, profile, folder / row.key, progress, steps).manifest.metrics
    except RecipeError as error:
        return Measured(key=row.key, title=title, digest=digest, missing=str(error))
    # Where nothing was done, what counts is the file as it was exported, not the form of it that runs fastest.
    side = "compressed" if profile.recipe.techniques else "original"
    size, decided = metrics["size_bytes"], metric_entry(metrics)
    value = decided[side]
    drop = None if decided["drop"] is None else 0.0 if side == "original" else decided["drop"]
    doubted = Drop.recorded(decided) if side == "compressed" else None
    is_accuracy = decided["name"] == DEFAULT
    return Measured(
        key=row.key,
        title=title,
        digest=digest,
        size_bytes=size[side],
        compression_ratio=size["original"] / size[side],
        accuracy=value if is_accuracy else None,
        accuracy_drop=drop if is_accuracy else None,
        metric=decided["name"],
        metric_unit=decided["unit"],
        metric_value=value,
        metric_drop=drop,
        metric_drop_interval_95=None if doubted is None else doubted.interval_95,
        metric_verdict=None if doubted is None else doubted.verdict,
    )


def _timed(rows: Sequence[Measured], folder: Path, original: bytes, example: Batch, recipe: Recipe) -> list[Measured]:
    """All artifacts in one run, in turn with the file as it was exported: times of different runs do not compare."""
    changed = [row for row in rows if row.there and row.key != ORIGINAL]
    artifacts: list[bytes | Path] = [original, *(read_bundle(folder / row.key).artifact for row in changed)]
    sample = example.sample(session_rows(open_session(original, threads=1), example.axes) or 1).inputs
    threads = threads_here(recipe.cpu.threads)
    times = interleave_sessions(artifacts, sample, runs=recipe.cpu.runs, threads=threads)
    keys = [ORIGINAL, *(row.key for row in changed)]
    timings = {key: _timing(times[:, 0], times[:, place]) for place, key in enumerate(keys)}
    return [replace(row, timing=timings.get(row.key)) for row in rows]


def _timing(original_ms: NDArray[np.float64], own_ms: NDArray[np.float64]) -> Timing:
    ratio = ratio_of(original_ms, own_ms)
    doubts = doubts_of(own_ms, ratio, first_ms=original_ms)
    return Timing(
        median_ms=float(np.median(own_ms)), speedup=ratio.value, low=ratio.low, high=ratio.high, doubts=doubts
    )


def _write_tables(folder: Path, rows: Sequence[Measured]) -> None:
    for name, text in ((MARKDOWN, as_markdown(rows)), (CSV, as_csv(rows))):
        with replacing(folder / name) as file:
            file.write(text.encode())
