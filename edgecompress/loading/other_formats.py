"""Files of other formats that are given as a model: how such a model is brought, is told."""

from __future__ import annotations

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


def refuse_other_format(path: Path) -> None:
    """Refuse what is a model, or its weights, in a format that is not read.

    Raises:
        ModelError: it is, by its suffix.
    """
    if (known := FORMATS.get(path.suffix.lower())) is not None:
        what, fix = known
        raise ModelError(f"{str(path)!r} is {what}; {fix.format(path=path)}")
