"""A bundle that another run made is written out again, byte by byte, and anything else is none."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import edgecompress
from edgecompress.bundle.reading import Bundle, read_bundle
from edgecompress.comparison.kept_bundles import keep_bundle, key_of_bundle, recall_bundle
from edgecompress.system.cache import Cache
from edgecompress.targets import TargetProfile, effective_profile
from edgecompress.techniques.kept import Kept
from tests.networks import ConvNet, images, seeded

QUICK = ("export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "quantization.fallback_evaluations=0")
PROFILE = effective_profile("mobile", QUICK)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return edgecompress.compress(
        seeded(ConvNet), calibration=images(), output=tmp_path_factory.mktemp("bundle") / "made", overrides=QUICK
    )


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(cache=Cache(tmp_path / "cache", lambda line: pytest.fail(line)), made_of={"network": "a"})


def _contents(bundle: Bundle) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in bundle.path.iterdir()}


def test_it_comes_back_byte_by_byte(made: Bundle, kept: Kept, tmp_path: Path) -> None:
    assert recall_bundle(kept, PROFILE, tmp_path / "out") is None
    assert not (tmp_path / "out").exists()
    keep_bundle(kept, PROFILE, made)
    again = recall_bundle(kept, PROFILE, tmp_path / "out")
    assert again is not None
    assert _contents(again) == _contents(made)
    assert read_bundle(tmp_path / "out") == again


@pytest.mark.parametrize(
    "other",
    [effective_profile("mobile", [*QUICK, "budgets.min_speedup=3"]), replace(PROFILE, name="mine")],
    ids=["another budget", "another target"],
)
def test_of_another_profile_it_is_none(other: TargetProfile, made: Bundle, kept: Kept, tmp_path: Path) -> None:
    keep_bundle(kept, PROFILE, made)
    assert recall_bundle(kept, other, tmp_path / "out") is None
    assert recall_bundle(replace(kept, made_of={"network": "b"}), PROFILE, tmp_path / "out") is None


def _packed(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


@pytest.mark.parametrize("fault", ["no archive", "no manifest", "another model", "a file too many", "a path"])
def test_what_is_no_bundle_is_forgotten(fault: str, made: Bundle, kept: Kept, tmp_path: Path) -> None:
    files = _contents(made)
    match fault:
        case "no manifest":
            del files["manifest.json"]
        case "another model":
            files["model.onnx"] += b"\0"
        case "a file too many":
            files["extra.txt"] = b""
        case "a path":
            files["../outside.txt"] = b""
    key = key_of_bundle(kept, PROFILE)
    kept.cache.write(key, b"something" if fault == "no archive" else _packed(files))
    assert recall_bundle(kept, PROFILE, tmp_path / "out") is None
    assert kept.cache.read(key) is None
    assert not [*tmp_path.glob("out*")]
