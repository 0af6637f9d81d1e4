"""Validation in Python: a bundle is checked, and measured again on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecompress.api.devices import device_table
from edgecompress.bundle.reading import Bundle
from edgecompress.bundle.revalidation import Revalidation, revalidate
from edgecompress.bundle.signature import load_signing_key
from edgecompress.errors import OutputError
from edgecompress.loading.metrics import MeasuredBy, MetricOrName, PostprocessOrName
from edgecompress.loading.sources import Data
from edgecompress.progress import Progress
from edgecompress.recipe.arguments import Overrides, named_as_arguments, names, path
from edgecompress.recipe.limits import Limit, checked_runs, limits_asked
from edgecompress.recipe.wording import in_python_words
from edgecompress.report.recording import record as write_record
from edgecompress.targets.profile import place_of
from edgecompress.validation.elsewhere.places import emulated

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@in_python_words
@named_as_arguments("budgets")
@named_as_arguments("validation")
def validate(
    bundle: Bundle | str | Path,
    *,
    evaluation: Data | None = None,
    original: str | Path | None = None,
    metric: MetricOrName | None = None,
    postprocess: PostprocessOrName | None = None,
    max_accuracy_drop: Limit | None = None,
    max_metric_drop: Limit | None = None,
    min_metric_kept: Limit | None = None,
    min_metric: Limit | None = None,
    max_metric: Limit | None = None,
    min_compression_ratio: Limit | None = None,
    min_speedup: Limit | None = None,
    max_latency_ms: Limit | None = None,
    max_latency_p95_ms: Limit | None = None,
    max_latency_p99_ms: Limit | None = None,
    max_size_mb: Limit | None = None,
    min_sqnr_db: Limit | None = None,
    cpu: Sequence[str] = (),
    min_cpu_agreement: Limit | None = None,
    on: Sequence[str] = (),
    min_browser_agreement: Limit | None = None,
    min_runtime_agreement: Limit | None = None,
    max_cpu_nodes: Limit | None = None,
    min_npu_share: Limit | None = None,
    require_measured: bool = False,
    runs: int | None = None,
    verify_key: str | Path | None = None,
    device: str | None = None,
    overrides: Overrides = (),
    record: bool = True,
    sign: str | Path | None = None,
    progress: Progress | None = None,
) -> Revalidation:
    """Check a bundle: its hashes, its outputs, and its budgets, measured again on this machine.

    Args:
        bundle: what :func:`compress` returned, or the path of its folder. Its files are read and hashed anew.
        evaluation: labelled batches to measure on, as :func:`compress` takes them; without them the recorded accuracy
            or metric counts.
        original: the float ONNX file, which is timed and run next to the artifact; without it the recorded speedup
            counts.
        metric: what is measured in place of the bundle's metric, as :func:`compress` takes it. Code that the bundle
            names is run only where it is given here.
        postprocess: what the outputs become before they are measured, as :func:`compress` takes it; the same holds.
        max_accuracy_drop: percentage points of top-1.
        max_metric_drop: how much worse than the float model, in the unit of the metric.
        min_metric_kept: share of the float model's metric that is kept, 0 to 1.
        min_metric: the artifact's metric itself, in its unit, where more is better, whatever the float model's is.
        max_metric: the same where less is better.
        min_compression_ratio: the original's bytes over the artifact's.
        min_speedup: the original's latency over the artifact's, medians.
        max_latency_ms: median latency of one sample, in milliseconds.
        max_latency_p95_ms: latency that 95 % of the calls stay under, in milliseconds.
        max_latency_p99_ms: latency that 99 % of the calls stay under, in milliseconds.
        max_size_mb: size of the artifact in megabytes (10^6 bytes).
        min_sqnr_db: least agreement of the artifact's outputs with the original's, in dB.
        cpu: names of other CPUs, on which the artifact is run under emulation.
        min_cpu_agreement: share of the samples with the same answers there, 0 to 1.
        on: names of other places to run, each as ``RUNTIME`` or ``RUNTIME:DEVICE``: ``browser``, or a runtime that
            another package adds; ``qemu:haswell`` is CPU ``haswell``, and a target stands for the place it is made for.
        min_browser_agreement: share of the samples with the same answers in the browser, 0 to 1.
        min_runtime_agreement: share of the samples with the same answers on runtimes of other packages, 0 to 1.
        max_cpu_nodes: nodes that an NPU leaves to the CPU.
        min_npu_share: share of the multiply-accumulates that an NPU does, 0 to 1.
        require_measured: whether a budget, the recipe's included, that is not measured here leaves the verdict
            undecided; by default what the bundle records keeps it, too.
        runs: timed runs of each model, at least 10, in place of the recipe's ``cpu.runs``: more of them decide a budget
            that is too noisy to say.
        verify_key: a public key of Ed25519 in a PEM file; a bundle that it has not signed is refused.
        device: the URL of a device of your own, ``ssh://[user@]host[:port]``, on which the artifact is run, and timed
            next to ``original``. OpenSSH's client is used, with your configuration and keys. On an Android,
            ``adb://SERIAL``, it is only timed.
        overrides: for keys of the table ``device``, such as ``device.python=PATH``.
        record: write what a device measured into the manifest and the report of the bundle.
        sign: a private key of Ed25519 in a PEM file, which signs the new manifest; a signed bundle needs it.
        progress: what is told of the progress; by default nobody.

    A limit that is left out is that of the bundle's recipe; ``"none"`` drops the budget. What else the recipe names may
    be of packages that are not installed here; a warning tells of each, and only a metric is needed, where there are
    data.

    Returns:
        The measures and the verdict; ``passed`` says whether every budget holds.

    Raises:
        OutputError: it is no bundle, it was changed, or it is not signed with the key.
        ParityError: its two formats answer differently on this machine.
        DataError: the data does not fit, or a limit is on what is neither measured nor recorded.
        ModelError: the original cannot be run on the inputs of the bundle.
        RecipeError: an argument is of the wrong type; a CPU or a runtime is unknown, or what it needs is missing; or
            there is no such metric, or it fails.
    """
    limits = {
        "max_accuracy_drop": max_accuracy_drop,
        "max_metric_drop": max_metric_drop,
        "min_metric_kept": min_metric_kept,
        "min_metric": min_metric,
        "max_metric": max_metric,
        "min_compression_ratio": min_compression_ratio,
        "min_speedup": min_speedup,
        "max_latency_ms": max_latency_ms,
        "max_latency_p95_ms": max_latency_p95_ms,
        "max_latency_p99_ms": max_latency_p99_ms,
        "max_size_mb": max_size_mb,
        "min_sqnr_db": min_sqnr_db,
        "min_cpu_agreement": min_cpu_agreement,
        "min_browser_agreement": min_browser_agreement,
        "min_runtime_agreement": min_runtime_agreement,
        "max_cpu_nodes": max_cpu_nodes,
        "min_npu_share": min_npu_share,
    }
    folder = bundle.path if isinstance(bundle, Bundle) else path("bundle", bundle)
    key = None if sign is None else load_signing_key(path("sign", sign))
    settings = device_table(device, overrides)
    asked = [place_of(name) for name in names("on", on, "runtimes")]
    found = revalidate(
        folder,
        limits_asked(limits),
        evaluation=evaluation,
        original=None if original is None else path("original", original),
        on=(*emulated(names("cpu", cpu, "CPUs")), *asked, *([settings.url] if settings.url is not None else [])),
        progress=progress or Progress(),
        by=MeasuredBy(metric=metric, postprocess=postprocess),
        require_measured=require_measured,
        runs=checked_runs(runs),
        verify_key=None if verify_key is None else path("verify_key", verify_key),
        device=settings,
    )
    return _recorded(folder, found, key, progress or Progress()) if record else found


def _recorded(folder: Path, found: Revalidation, key: Ed25519PrivateKey | None, progress: Progress) -> Revalidation:
    """What was found, written into the manifest where devices measured something; what hinders that is told."""
    entries = found.measured_now
    if not entries:
        return found
    try:
        write_record(folder, entries, key)
    except OutputError as error:
        progress.warn(str(error))
        return found
    return replace(found, recorded=True)
