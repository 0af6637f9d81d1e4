"""A search whose trials take no time: each gets a bundle that was made once."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import edgecompress
from edgecompress.bundle.reading import Bundle
from edgecompress.comparison.making import Material
from edgecompress.progress import Progress
from edgecompress.targets import TargetProfile
from tests.networks import ConvNet, images, seeded

QUICK = ("export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "quantization.fallback_evaluations=0")


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of a small network."""
    return edgecompress.compress(
        seeded(ConvNet),
        calibration=images(seed=1),
        evaluation=images(seed=2),
        overrides=(*QUICK, "quantization.placement=table"),
        output=tmp_path_factory.mktemp("bundle") / "made",
    )


@pytest.fixture
def runs(made: Bundle, monkeypatch: pytest.MonkeyPatch) -> list[TargetProfile]:
    """The profiles of the trials that were run, each in an instant."""
    ran: list[TargetProfile] = []

    def make(material: Material, profile: TargetProfile, output: Path, progress: Progress, _: Any) -> Bundle:
        ran.append(profile)
        return replace(made, path=shutil.copytree(made.path, output))

    monkeypatch.setattr("edgecompress.comparison.search.worker.make_bundle", make)
    return ran
