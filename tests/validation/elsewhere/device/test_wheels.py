"""Wheels for a device are fetched for its Python, machine and C library."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from edgecompress.errors import RecipeError
from edgecompress.validation.elsewhere.device.wheels import fetch_wheels, platform_tags

PI = {"machine": "aarch64", "python": "3.11.2", "libc": ["glibc", "2.36"]}
METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: {}\n"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the package index."""
    for name, version, tag in (
        ("onnxruntime", "1.2.3", "cp311-cp311-manylinux_2_27_aarch64"),
        ("onnxruntime", "1.2.4", "cp311-cp311-manylinux_2_38_aarch64"),
        ("onnxruntime", "1.2.3", "cp311-cp311-manylinux_2_27_x86_64"),
        ("numpy", "9.0", "cp311-cp311-manylinux2014_aarch64"),
        ("numpy", "9.0", "cp312-cp312-manylinux2014_aarch64"),
    ):
        with zipfile.ZipFile(tmp_path / f"{name}-{version}-{tag}.whl", "w") as wheel:
            wheel.writestr(f"{name}-{version}.dist-info/METADATA", METADATA.format(name, version))
            wheel.writestr(f"{name}-{version}.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
            wheel.writestr(f"{name}-{version}.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


def test_they_are_those_of_the_device(index: Path) -> None:
    assert fetch_wheels("1.2.*", PI).keys() == {
        "numpy-9.0-cp311-cp311-manylinux2014_aarch64.whl",
        "onnxruntime-1.2.3-cp311-cp311-manylinux_2_27_aarch64.whl",
    }


def test_where_there_are_none_a_line_says_so(index: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        fetch_wheels("1.2.4", PI)
    assert str(caught.value) == (
        "onnxruntime 1.2.4 cannot be fetched for Python 3.11 on aarch64: No matching distribution found for"
        " onnxruntime==1.2.4; set device.onnxruntime to another version"
    )


def test_without_glibc_they_are_those_of_musl() -> None:
    assert platform_tags("x86_64", ["", ""]) == ["musllinux_1_2_x86_64", "musllinux_1_1_x86_64"]
