"""Files of other formats that are given as a model: how such a model is brought, is told."""

from __future__ import annotations

import json
from pathlib import Path

from edgecompress.errors import ModelError

CONVERT = "convert it to ONNX first: python -m tf2onnx.convert"
KERAS = ("a Keras model", f"{CONVERT} --keras {{path}} --output model.onnx")
ENGINE = ("a TensorRT engine, made for a single GPU", "give the ONNX file that it was built from")
CORE_ML = ("a Core ML model", "give the module or the ONNX file that it was converted from")
FORMATS = {
    ".safetensors": ("a file of weights", "give the code as file.py:callable, and this file with --weights"),
    ".h5": KERAS,
    ".hdf5": KERAS,
    ".keras": KERAS,
    ".pb": ("a TensorFlow graph", f"{CONVERT} --saved-model FOLDER --output model.onnx"),
    ".tflite": ("a TensorFlow Lite model", f"{CONVERT} --tflite {{path}} --output model.onnx"),
    ".engine": ENGINE,
    ".plan": ENGINE,
    ".trt": ENGINE,
    ".mlmodel": CORE_ML,
    ".mlpackage": CORE_ML,
    ".ort": ("a file of ONNX Runtime's own format", "give the ONNX file that it was made from"),
    ".xml": ("a model of OpenVINO", "give the module or the ONNX file that it was converted from"),
}
"""By the suffix: what a file is, and what to give in its place."""

LIBRARY_NAMES = {"hf": "transformers", "timm": "timm"}


def refuse_other_format(path: Path) -> None:
    """Refuse what is a model, or its weights, in a format that is not read.

    Raises:
        ModelError: it is, by its suffix.
    """
    if (known := FORMATS.get(path.suffix.lower())) is not None:
        what, fix = known
        raise ModelError(f"{str(path)!r} is {what}; {fix.format(path=path)}")


def refuse_folder(path: Path) -> None:
    """Refuse a folder; the form of MODEL that reads it is told, where there is one.

    Raises:
        ModelError: it is a folder.
    """
    if not path.is_dir() or path.suffix.lower() in FORMATS:
        return
    what, fix = _lying_in(path)
    raise ModelError(f"{str(path)!r} is {what}; {fix}")


def _lying_in(folder: Path) -> tuple[str, str]:
    """What a folder is, and what to give in its place."""
    if (folder / "manifest.json").is_file():
        return "a bundle", f"give {folder / 'model.onnx'} in it, or validate the bundle"
    if (folder / "saved_model.pb").is_file():
        return "a TensorFlow model", f"{CONVERT} --saved-model {folder} --output model.onnx"
    if (folder / "config.json").is_file():
        library = "timm" if is_of_timm(folder / "config.json") else "hf"
        return f"a folder that {LIBRARY_NAMES[library]} wrote", f"give {library}:{folder}"
    if (folder / "adapter_config.json").is_file():
        return "an adapter without its network", "merge it (merge_and_unload), save_pretrained, and give hf:FOLDER"
    found = sorted(folder.glob("*.onnx"))
    return "a folder", f"give {found[0]}" if len(found) == 1 else "give a file in it, such as model.onnx"


def is_of_timm(configuration: Path) -> bool:
    """Whether a ``config.json`` is one that timm writes."""
    try:
        tables = json.loads(configuration.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(tables, dict) and "architecture" in tables and "model_type" not in tables
