"""The bill of materials says what is installed, and nothing that changes from run to run."""

from __future__ import annotations

import hashlib
import json
import re
from importlib import metadata
from pathlib import Path

from edgecompress.bundle.manifest import canonical
from edgecompress.bundle.sbom import make_sbom

PURL = re.compile(r"pkg:(pypi|generic)/[a-z0-9-]+@[A-Za-z0-9.%]+")
SBOM = json.loads(make_sbom(b"onnx"))
LIBRARIES = {each["name"]: each for each in SBOM["components"] if each["type"] == "library"}


def test_the_same_artifact_gives_the_same_bytes() -> None:
    assert make_sbom(b"onnx") == make_sbom(b"onnx") == canonical(SBOM)
    assert make_sbom(b"onny") != make_sbom(b"onnx")
    assert not {"serialNumber", "timestamp"} & {*SBOM, *SBOM["metadata"]}


def test_it_has_what_cyclonedx_asks_for() -> None:
    assert (SBOM["bomFormat"], SBOM["specVersion"], SBOM["version"]) == ("CycloneDX", "1.6", 1)
    references = [each["bom-ref"] for each in SBOM["components"]] + [SBOM["metadata"]["component"]["bom-ref"]]
    assert len(set(references)) == len(references)
    assert {each["ref"] for each in SBOM["dependencies"]} <= set(references)
    assert {name for each in SBOM["dependencies"] for name in each["dependsOn"]} <= set(references)
    assert all(PURL.fullmatch(each["purl"]) for each in SBOM["components"])


def test_it_names_the_artifact_and_all_that_made_it() -> None:
    assert SBOM["metadata"]["component"]["hashes"][0]["content"] == hashlib.sha256(b"onnx").hexdigest()
    needed = {"edgecompress", "torch", "onnx", "onnx-ir", "onnxruntime", "onnxsim", "numpy", "sympy", "protobuf"}
    assert needed <= LIBRARIES.keys()
    assert not {"hypothesis", "pytest", "cryptography"} & LIBRARIES.keys()


def test_versions_and_hashes_are_those_of_the_files() -> None:
    for name in ("numpy", "onnx"):
        distribution = metadata.distribution(name)
        record = Path(str(distribution.locate_file(f"{name}-{distribution.version}.dist-info"))) / "RECORD"
        digest = hashlib.sha256(record.read_bytes()).hexdigest()
        assert LIBRARIES[name]["version"] == distribution.version
        assert LIBRARIES[name]["properties"] == [{"name": "edgecompress:record:sha256", "value": digest}]
