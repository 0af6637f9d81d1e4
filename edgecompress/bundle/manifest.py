"""The manifest: what a bundle holds, as canonical JSON.

Canonical means: keys sorted, two spaces of indentation, ASCII, one newline at the end. ``digest`` is
the SHA-256 of the manifest without that key, so that a change to the manifest itself shows too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edgecompress.errors import OutputError
from edgecompress.metrics.metric import DEFAULT, PERCENT

FORMAT_VERSION = 1
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
MAX_BYTES = 2**26
"""Of a manifest that is read: far more than any of ours has."""


class FileEntry(BaseModel):
    """Hash and size of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    size_bytes: int


class BudgetEntry(BaseModel):
    """One budget: ``value`` is null where it could not be measured; ``interval_95`` bounds times and their ratios."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: str
    limit: float
    value: float | None
    unit: str
    interval_95: tuple[float, float] | None = None
    outcome: Literal["pass", "fail", "not measured", "too noisy to say"]


class VerdictEntry(BaseModel):
    """The verdict, with the budgets that led to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Literal["pass", "fail", "undecided"]
    budgets: tuple[BudgetEntry, ...]


class TargetEntry(BaseModel):
    """The profile that the bundle was made for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    strategy: str
    reason: str


class Manifest(BaseModel):
    """The content of ``manifest.json``; the documentation describes every key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    edgecompress_version: str
    target: TargetEntry
    recipe: dict[str, Any]
    files: dict[str, FileEntry]
    data: dict[str, Any]
    metrics: dict[str, Any]
    verdict: VerdictEntry
    environment: dict[str, str]
    cpus: dict[str, dict[str, Any]] = {}
    mobile: dict[str, Any] = {}
    image_input: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    browser: dict[str, Any] = {}
    runtimes: dict[str, dict[str, Any]] = {}


def file_entry(content: bytes) -> FileEntry:
    """Hash and size of a file's content."""
    return FileEntry(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def canonical(document: Mapping[str, Any]) -> bytes:
    """Canonical JSON of a document.

    >>> canonical({"b": 1, "a": [2.5]})
    b'{\\n  "a": [\\n    2.5\\n  ],\\n  "b": 1\\n}\\n'
    """
    return (json.dumps(document, sort_keys=True, indent=2, allow_nan=False) + "\n").encode("ascii")


def metric_entry(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """What decided in a run, from the ``metrics`` of its manifest; in bundles of before it is top-1 accuracy.

    >>> metric_entry({"accuracy": {"original": 80.0, "compressed": 79.0, "drop": 1.0}})["name"]
    'top1'
    """
    found: Mapping[str, Any] | None = metrics.get("metric")
    if found is not None:
        return found
    values = {key: metrics["accuracy"].get(key) for key in ("original", "compressed", "drop")}
    return {**values, "name": DEFAULT, "unit": PERCENT, "higher_is_better": True}


def dump_manifest(manifest: Manifest) -> bytes:
    """The bytes of ``manifest.json``."""
    document = manifest.model_dump(mode="json")
    return canonical({**document, "digest": hashlib.sha256(canonical(document)).hexdigest()})


def parse_manifest(content: bytes) -> Manifest:
    """Read a manifest and check its digest.

    Raises:
        OutputError: it is no manifest, is newer than this program, or was changed.
    """
    document = _parsed(content)
    if document is None:
        raise OutputError(f"{MANIFEST} is not JSON; the bundle was changed, compress again")
    if not isinstance(document, dict):
        raise OutputError(f"{MANIFEST} is no JSON object; the bundle was changed, compress again")
    version = document.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise OutputError(f"{MANIFEST} has format version {version}, this program reads {FORMAT_VERSION}; update it")
    digest = document.pop("digest", None)
    if digest != hashlib.sha256(canonical(document)).hexdigest():
        raise OutputError(f"{MANIFEST} was changed after the bundle was written; compress again")
    if canonical({**document, "digest": digest}) != content:  # two keys of one name show here, too
        raise OutputError(f"{MANIFEST} is not canonical JSON; the bundle was changed, compress again")
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        path = ".".join(map(str, error.errors()[0]["loc"]))
        raise OutputError(f"{MANIFEST} is not valid in {path!r}; compress again") from None


def listed_files(content: bytes) -> frozenset[str] | None:
    """The names of a bundle's files, its manifest among them; None where the content is no manifest of ours.

    Unlike :func:`parse_manifest`, this takes a manifest of any version, and one that was changed.

    >>> listed_files(b'{"name": "a web application"}') is None
    True
    """
    document = _parsed(content)
    if not isinstance(document, dict) or not document.keys() >= {"format_version", "edgecompress_version", "files"}:
        return None
    return frozenset({MANIFEST, SIGNATURE, *document["files"]}) if isinstance(document["files"], dict) else None


def _parsed(content: bytes) -> Any:
    """JSON without NaN and infinity, which it lacks; None for anything else."""
    if len(content) > MAX_BYTES:
        return None
    try:
        return json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
