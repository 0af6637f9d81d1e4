"""A model that is given by its name is the module that it names; the bundle is called after it."""

from __future__ import annotations

from pathlib import Path

from edgecompress import compress, read_bundle

SMALL = {"cpu.runs": 10, "quantization.enabled": False, "export": {"simplify": False}}


def test_the_artifact_is_that_of_the_module(project: Path) -> None:
    named = compress("nets.py:net", calibration="batches.py:images", overrides=SMALL)
    assert named.path.name.startswith("net-")
    again = read_bundle(named)
    assert again == named
    assert again.manifest.recipe["cpu"]["runs"] == 10
