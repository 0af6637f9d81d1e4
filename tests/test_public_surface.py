"""The public surface is small, documented, and imported only when it is used."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgecompress

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "edgecompress"


@pytest.mark.parametrize("name", edgecompress.__all__)
def test_a_public_name_can_be_imported_and_is_documented(name: str) -> None:
    thing = getattr(edgecompress, name)
    assert thing.__doc__
    assert thing.__name__ == name


def test_the_surface_is_small_and_sorted() -> None:
    assert len(edgecompress.__all__) <= 30
    assert sorted(edgecompress.__all__) == edgecompress.__all__ == dir(edgecompress)
    errors = [name for name in edgecompress.__all__ if name.endswith("Error")]
    assert len(errors) <= 8
    assert all(issubclass(getattr(edgecompress, name), edgecompress.EdgecompressError) for name in errors)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Prunner'"):
        _ = edgecompress.Prunner


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = ("torch", "onnx", "onnxruntime", "onnxsim", "numpy", "pydantic")
    code = f"import edgecompress, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("room", ["calibration", "exporters", "targets"])
def test_the_rooms_are_linked_at_the_root(room: str) -> None:
    assert (ROOT / room).is_symlink()
    assert (ROOT / room).resolve() == PACKAGE / room


RECORDS = {
    "Bundle": "read by read_bundle",
    "QuantizedModel": "made by Quantizer",
    "Recipe": "what it tells names keys",
    "Refusal": "made by steps",
    "StepResult": "made by steps",
    "TargetProfile": "made by load_profile",
}
"""What is public, and whose functions need no words of Python's."""


def _callables() -> dict[str, Any]:
    """Public functions, and public methods of the public classes, by their names."""
    found: dict[str, Any] = {}
    for name in edgecompress.__all__:
        value = getattr(edgecompress, name)
        if inspect.isclass(value) and not issubclass(value, Exception):
            members = {own: getattr(value, own) for own in vars(value) if not own.startswith("_")}
            found |= {f"{name}.{own}": member for own, member in members.items() if inspect.isfunction(member)}
        elif inspect.isfunction(value):
            found[name] = value
    return found


def test_every_function_that_callers_use_tells_of_arguments() -> None:
    found = _callables()
    plain = {name.split(".")[0] for name, function in found.items() if inspect.unwrap(function) is function}
    assert plain <= RECORDS.keys()
    assert {name.split(".")[0] for name in found} >= {"Quantizer", "ModelPruner", "compress", "validate", "read_bundle"}
