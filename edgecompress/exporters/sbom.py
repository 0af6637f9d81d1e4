"""``sbom.json``: the software that produced a bundle, as CycloneDX 1.6 (ECMA-424).

It holds neither a time nor a random serial number: the same artifact, made by the same software, gives the same bytes.
"""

from __future__ import annotations

import hashlib
import platform
import re
from importlib import metadata
from typing import Any

from edgecompress.exporters.manifest import canonical

ROOT = "edgecompress"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def make_sbom(artifact: bytes) -> bytes:
    """The bill of materials of an artifact: edgecompress, all that it needs, and the Python that ran it.

    Each library has its version, its purl, and the SHA-256 of its RECORD, the list of its files with their hashes.
    """
    found = _closure(ROOT)
    python = {
        "type": "platform",
        "bom-ref": f"pkg:generic/python@{platform.python_version()}",
        "name": platform.python_implementation(),
        "version": platform.python_version(),
        "purl": f"pkg:generic/python@{platform.python_version()}",
    }
    model = {
        "type": "machine-learning-model",
        "bom-ref": "model.onnx",
        "name": "model.onnx",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(artifact).hexdigest()}],
    }
    needs = {name: [_purl(found[one]) for one in _needed(found[name]) if one in found] for name in found}
    return canonical(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {"component": model},
            "components": [python, *(_component(found[name]) for name in sorted(found))],
            "dependencies": [
                {"ref": "model.onnx", "dependsOn": [_purl(found[ROOT]), python["bom-ref"]]},
                *({"ref": _purl(found[name]), "dependsOn": sorted(needs[name])} for name in sorted(found)),
            ],
        }
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


def _component(distribution: metadata.Distribution) -> dict[str, Any]:
    # Not read_text, which would read other ends of lines than those in the file.
    record = next((path for path in distribution.files or () if path.name == "RECORD"), None)
    component = {
        "type": "library",
        "bom-ref": _purl(distribution),
        "name": _normalized(distribution.name),
        "version": distribution.version,
        "purl": _purl(distribution),
    }
    if record is None:
        return component
    digest = hashlib.sha256(record.read_binary()).hexdigest()
    return {**component, "properties": [{"name": "edgecompress:record:sha256", "value": digest}]}
