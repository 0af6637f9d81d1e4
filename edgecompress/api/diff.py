"""Releases in Python: what a new bundle in the place of an old one would change."""

from __future__ import annotations

from pathlib import Path

from edgecompress.api.devices import device_table
from edgecompress.bundle.reading import Bundle
from edgecompress.comparison.releases import Difference, compare_bundles
from edgecompress.loading.metrics import MeasuredBy, MetricOrName, PostprocessOrName
from edgecompress.loading.sources import Data
from edgecompress.progress import Progress
from edgecompress.recipe.arguments import Overrides, path
from edgecompress.recipe.limits import Limit, checked_runs, limits_asked
from edgecompress.recipe.wording import in_python_words


@in_python_words
def diff(
    old: Bundle | str | Path,
    new: Bundle | str | Path,
    *,
    evaluation: Data | None = None,
    metric: MetricOrName | None = None,
    postprocess: PostprocessOrName | None = None,
    max_metric_loss: Limit | None = None,
    max_size_growth: Limit | None = None,
    max_slowdown: Limit | None = None,
    runs: int | None = None,
    device: str | None = None,
    overrides: Overrides = (),
    progress: Progress | None = None,
) -> Difference:
    """Compare two bundles of a network: metric, size, latency, and which answers changed.

    Args:
        old: the bundle that is in use, or the path of its folder.
        new: the bundle that is to replace it. Its target says how 8-bit products are summed, and with how many threads
            both are timed.
        evaluation: labelled batches on which both answer, as :func:`compress` takes them; without them the inputs of
            the new bundle's self-test, and the metric is as both record it, where they were evaluated on the same data.
        metric: what is measured in place of the new bundle's metric, as :func:`compress` takes it. Code that the bundle
            names is run only where it is given here.
        postprocess: what the outputs become before they are measured, as :func:`compress` takes it; the same holds.
        max_metric_loss: how much worse the metric may be, in its unit (percentage points of top-1) and on these
            samples; by default a loss may not be one beyond chance.
        max_size_growth: by how many percent the artifact may be larger; by default 1.
        max_slowdown: by how many percent the artifact may be slower; missed where the whole 95 % interval of the time
            lies beyond it; by default 1.
        runs: timed runs of each artifact, at least 10, in place of the new bundle's ``cpu.runs``; on a noisy machine up
            to ten times as many are taken.
        device: the URL of a device of your own, ``ssh://[user@]host[:port]`` or ``adb://SERIAL``, on which both are
            timed in the place of this machine.
        overrides: for keys of the table ``device``, such as ``device.python=PATH``.
        progress: what is told of the progress; by default nobody.

    A limit of ``"none"`` drops that budget.

    Returns:
        What changed, with the samples whose answer did; ``passed`` says whether every budget holds.

    Raises:
        OutputError: one is no bundle, was changed, or takes other inputs than the other.
        DataError: the data does not fit, or a limit is on a metric that is not known.
        RecipeError: an argument is of the wrong type or below 0; there is no such metric, or it fails; or the device
            cannot be used.
    """
    limits = {"max_metric_loss": max_metric_loss, "max_size_growth": max_size_growth, "max_slowdown": max_slowdown}
    return compare_bundles(
        _folder("old", old),
        _folder("new", new),
        limits_asked(limits),
        evaluation=evaluation,
        progress=progress or Progress(),
        runs=checked_runs(runs),
        by=MeasuredBy(metric=metric, postprocess=postprocess),
        device=device_table(device, overrides),
    )


def _folder(argument: str, bundle: Bundle | str | Path) -> Path:
    return bundle.path if isinstance(bundle, Bundle) else path(argument, bundle)
