"""Bundles that other runs made of the same: kept as one entry of a cache each, and written out again."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from edgecompress.bundle.draft import open_draft
from edgecompress.bundle.manifest import MANIFEST, Manifest, file_entry, parse_manifest
from edgecompress.bundle.reading import Bundle
from edgecompress.errors import OutputError
from edgecompress.recipe.toml import recipe_tables
from edgecompress.report.files import REPORT, with_command
from edgecompress.targets import TargetProfile
from edgecompress.techniques.kept import Kept

NOISY = "too noisy to say"
"""Outcome of a budget that says nothing."""


def key_of_bundle(kept: Kept, profile: TargetProfile) -> str:
    """The key of the bundle of a profile."""
    head = {"name": profile.name, "strategy": profile.strategy, "reason": profile.reason}
    return kept.key("bundle", target=head, recipe=recipe_tables(profile.recipe))


def recall_bundle(kept: Kept, profile: TargetProfile, output: Path, command: str) -> Bundle | None:
    """Write the bundle of a profile as an earlier run made it; None where there is none.

    Args:
        kept: what runs on the same material keep.
        profile: of the bundle.
        output: its folder.
        command: makes it again, which its report says in place of what the earlier run would do.

    Raises:
        OutputError: the output cannot be written.
    """
    key = key_of_bundle(kept, profile)
    content = kept.cache.read(key)
    found = None if content is None else _unpacked(content)
    if found is None:
        kept.cache.drop(key)
        return None
    files, manifest = found
    with open_draft(output, overwrite=True) as draft:
        return draft.finish(with_command(files, command), manifest)


def is_settled(manifest: Manifest) -> bool:
    """Whether nothing disturbed the times of a bundle, so that they say as much in another run."""
    outcomes = {check.outcome for check in manifest.verdict.budgets}
    return not manifest.metrics["latency_ms"]["doubts"] and NOISY not in outcomes


def warnings_of(bundle: Bundle) -> tuple[str, ...]:
    """What the run that made a bundle warned of, as its report has it: the plan, the steps, doubts of the result."""
    report = json.loads((bundle.path / REPORT).read_bytes())
    of_steps = (line for step in report["steps"] for line in step["warnings"])
    return tuple(dict.fromkeys((*report["plan"]["warnings"], *of_steps, *report["doubts"])))


def keep_bundle(kept: Kept, profile: TargetProfile, bundle: Bundle) -> None:
    """Keep the bundle of a profile for other runs; one whose times were disturbed is timed anew there."""
    if not is_settled(bundle.manifest):
        return
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in (MANIFEST, *bundle.manifest.files):
            archive.writestr(name, (bundle.path / name).read_bytes())
    kept.cache.write(key_of_bundle(kept, profile), packed.getvalue())


def _unpacked(content: bytes) -> tuple[Mapping[str, bytes], Manifest] | None:
    """The files and the manifest; None where they are not those of one bundle."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        manifest = parse_manifest(files.pop(MANIFEST))
    except (zipfile.BadZipFile, KeyError, OutputError):
        return None
    listed = {name: file_entry(data) for name, data in files.items()}
    plain = all(Path(name).name == name for name in files)
    return (files, manifest) if plain and listed == dict(manifest.files) else None
