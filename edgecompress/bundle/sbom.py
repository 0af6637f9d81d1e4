"""``sbom.json``: the software that produced a bundle, as CycloneDX 1.6 (ECMA-424).

It holds neither a time nor a random serial number: the same artifact, made by the same software, gives the same bytes.
"""

from __future__ import annotations

import functools
import hashlib
import platform
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from edgecompress.bundle.manifest import canonical

ROOT = "edgecompress"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def make_sbom(artifact: bytes) -> bytes:
    """The bill of materials of an artifact: edgecompress, all that it needs, and the Python that ran it.

    Each library has its version, its purl, and the SHA-256 of its RECORD, the list of its files with their hashes.
    """
    software = _software()
    model = {
        "type": "machine-learning-model",
        "bom-ref": "model.onnx",
        "name": "model.onnx",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(artifact).hexdigest()}],
    }
    return canonical(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {"component": model},
            "components": software.components,
            "dependencies": [{"ref": "model.onnx", "dependsOn": software.makers}, *software.dependencies],
        }
    )


@dataclass(frozen=True, kw_only=True)
class _Software:
    """What is installed, in CycloneDX's form; ``makers`` are edgecompress and Python."""

    components: list[dict[str, Any]]
    dependencies: list[dict[str, Any]]
    makers: list[str]


@functools.cache
def _software() -> _Software:
    """Read once: what a process has imported does not change while it runs."""
    found = _closure(ROOT)
    python = {
        "type": "platform",
        "bom-ref": f"pkg:generic/python@{platform.python_version()}",
        "name": platform.python_implementation(),
        "version": platform.python_version(),
        "purl": f"pkg:generic/python@{platform.python_version()}",
    }
    needs = {name: [_purl(found[need]) for need in _needed(found[name]) if need in found] for name in found}
    return _Software(
        components=[python, *(_component(found[name]) for name in sorted(found))],
        dependencies=[{"ref": _purl(found[name]), "dependsOn": sorted(needs[name])} for name in sorted(found)],
        makers=[_purl(found[ROOT]), python["bom-ref"]],
    )


def _closure(root: str) -> dict[str, metadata.Distribution]:
    """A distribution and all that it needs and that is installed, by normalized name."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # for another system, as its marker says
            continue
        waiting += _needed(found[name])
    return found


def _needed(distribution: metadata.Distribution) -> list[str]:
    """What a distribution needs without its extras."""
    lines = [line for line in distribution.requires or () if "extra ==" not in line]
    return sorted({_normalized(match[0]) for line in lines if (match := NAME.match(line))})


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _purl(distribution: metadata.Distribution) -> str:
    return f"pkg:pypi/{_normalized(distribution.name)}@{distribution.version.replace('+', '%2B')}"


def _record(distribution: metadata.Distribution) -> bytes | None:
    """The RECORD of a distribution as it lies on the disk: ``read_text`` may change the ends of its lines."""
    listed = (line.partition(",")[0] for line in (distribution.read_text("RECORD") or "").splitlines())
    own = next((path for path in listed if path.endswith(".dist-info/RECORD") and path.count("/") == 1), None)
    return None if own is None else Path(str(distribution.locate_file(own))).read_bytes()


def _component(distribution: metadata.Distribution) -> dict[str, Any]:
    component = {
        "type": "library",
        "bom-ref": _purl(distribution),
        "name": _normalized(distribution.name),
        "version": distribution.version,
        "purl": _purl(distribution),
    }
    record = _record(distribution)
    if record is None:
        return component
    digest = hashlib.sha256(record).hexdigest()
    return {**component, "properties": [{"name": "edgecompress:record:sha256", "value": digest}]}
