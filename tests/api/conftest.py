"""A bundle that the functions of the Python interface read."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgecompress
from tests.networks import ConvNet, images, seeded


@pytest.fixture(scope="package")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a small network, made quickly."""
    folder = tmp_path_factory.mktemp("bundle") / "made"
    quick = ("export.simplify=false", "cpu.runs=10", "quantization.adaround=false")
    return edgecompress.compress(
        seeded(ConvNet), calibration=images(seed=1), evaluation=images(seed=2), overrides=quick, output=folder
    ).path
