"""What a device measured of a bundle that is there already, written into its manifest and its report."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecompress.bundle.draft import open_draft
from edgecompress.bundle.manifest import SIGNATURE, Manifest, VerdictEntry, canonical
from edgecompress.bundle.reading import Bundle, read_bundle
from edgecompress.bundle.signature import signature_of
from edgecompress.errors import OutputError
from edgecompress.recipe.recorded import read_recorded
from edgecompress.report.page import render
from edgecompress.validation.budgets import MEASURES, NONE_LOST, Verdict, judge
from edgecompress.validation.elsewhere.results import Elsewhere, Entry

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LOST = "lost_slices"


def record(folder: Path, entries: Mapping[str, Entry], key: Ed25519PrivateKey | None) -> Bundle:
    """Write the entries of places into a bundle, whole or not at all; its verdict is judged anew.

    Args:
        folder: of the bundle.
        entries: of devices, by the names of their places.
        key: signs the new manifest; a bundle that is signed needs it.

    Raises:
        OutputError: the bundle was changed, cannot be written, or is signed and there is no key.
    """
    require_key(folder, key)
    bundle = read_bundle(folder)
    manifest = recorded(bundle.manifest, entries)
    files = {name: (folder / name).read_bytes() for name in bundle.manifest.files}
    files |= _report(files, manifest)
    sign = None if key is None else functools.partial(signature_of, key=key)
    with open_draft(folder, overwrite=True) as draft:
        return draft.finish(files, manifest, sign)


def require_key(folder: Path, key: Ed25519PrivateKey | None) -> None:
    """Check that a signed bundle stays signed.

    Raises:
        OutputError: it would not.
    """
    if key is None and (folder / SIGNATURE).exists():
        raise OutputError(
            f"bundle {str(folder)!r} is signed, and its record is left as it is; add --sign KEY.pem, or --no-record"
        )


def recorded(manifest: Manifest, entries: Mapping[str, Entry]) -> Manifest:
    """The manifest with entries of places, and with the verdict on them."""
    runtimes = {**manifest.runtimes, **{name: dict(entry) for name, entry in entries.items()}}
    elsewhere = Elsewhere(cpus=manifest.cpus, browser=manifest.browser, runtimes=runtimes)
    verdict = VerdictEntry.model_validate(_judged(manifest, elsewhere).entry)
    return manifest.model_copy(update={"runtimes": runtimes, "verdict": verdict})


def _judged(manifest: Manifest, elsewhere: Elsewhere) -> Verdict:
    """The verdict of the record, with what is known now of other places."""
    checks = {
        LOST if check.budget == NONE_LOST else MEASURES[check.budget][0]: check for check in manifest.verdict.budgets
    }
    values = {name: check.value for name, check in checks.items()}
    on_device = {name: figure.value for name, figure in elsewhere.latencies.items()}
    bounds = {name: check.interval_95 for name, check in checks.items() if check.interval_95 and name not in on_device}
    return judge(
        elsewhere.strict(read_recorded(manifest.recipe).budgets),
        {**values, **on_device, **elsewhere.agreements, **elsewhere.placement},
        {**bounds, **elsewhere.intervals},
        {name: check.unit for name, check in checks.items()},
    )


def _report(files: Mapping[str, bytes], manifest: Manifest) -> dict[str, bytes]:
    """The report as its manifest is now; nothing where the bundle has none."""
    if "report.json" not in files:
        return {}
    report: dict[str, Any] = json.loads(files["report.json"])
    written = manifest.model_dump(mode="json", include={"runtimes", "verdict"})
    document = canonical({**report, **written})
    return {"report.json": document, "report.html": render(json.loads(document)).encode()}
