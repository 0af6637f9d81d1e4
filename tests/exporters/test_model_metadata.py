"""Class names, normalization, size, layout and licence stand in the files, where ONNX Runtime reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from PIL import Image

import edgecompress
from edgecompress.cli import main
from edgecompress.exporters.finish import finish
from edgecompress.exporters.model_metadata import metadata_of, model_metadata
from edgecompress.recipe.tables import parse_recipe
from tests.exporters.graphs import graph
from tests.networks import ConvNet, images, seeded
from tests.validation.test_byte_file import byte_pictures

CLASSES = ("tabby cat", "Straße", "猫", *map(str, range(7)))
QUICK = (
    *("export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "quantization.placement=table"),
    *("quantization.fallback_evaluations=0", 'export.license="CC-BY-4.0"'),
)
NORMALIZED = ("images.mean=[0.485, 0.456, 0.406]", "images.std=[0.229, 0.224, 0.225]")
OF_PICTURES = {
    "image_size": "16\n16",
    "image_layout": "nchw",
    "image_dtype": "float32",
    "image_scaled": "true",
    "image_mean": "0.485\n0.456\n0.406",
    "image_std": "0.229\n0.224\n0.225",
}
LICENCE = {"model_license": "CC-BY-4.0"}


def _told(file: Path) -> dict[str, str]:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    return dict(session.get_modelmeta().custom_metadata_map)


def _named(names: tuple[str, ...]) -> str:
    return "data.classes=[" + ", ".join(f'"{name}"' for name in names) + "]"


def _made(output: Path, *overrides: str, data: Any = None) -> edgecompress.Bundle:
    return edgecompress.compress(
        seeded(ConvNet), calibration=data or byte_pictures(1), overrides=(*QUICK, *overrides), output=output
    )


def test_a_file_says_what_is_known_of_its_pictures(tmp_path: Path) -> None:
    bundle = _made(tmp_path / "made", *NORMALIZED, _named(CLASSES))
    expected = {**LICENCE, "classes": "\n".join(CLASSES), **OF_PICTURES}
    assert _told(bundle.artifact) == expected
    assert bundle.manifest.metadata == expected
    assert _told(bundle.path / "model.ort") == expected
    assert edgecompress.read_bundle(bundle).manifest.metadata == expected


def test_a_file_of_bytes_leaves_nothing_to_normalize(tmp_path: Path) -> None:
    bundle = _made(tmp_path / "made", *NORMALIZED, "export.image_input=uint8", "export.image_layout=nhwc")
    left = {"image_size": "16\n16", "image_layout": "nhwc", "image_dtype": "uint8"}
    assert _told(bundle.path / "model.uint8.onnx") == {**LICENCE, **left}
    assert bundle.manifest.metadata == {**LICENCE, **OF_PICTURES}


def test_nothing_is_said_that_is_not_known(tmp_path: Path) -> None:
    bundle = _made(tmp_path / "made", data=images(seed=1))
    assert _told(bundle.artifact) == bundle.manifest.metadata == LICENCE


def test_a_layout_with_the_channels_last_has_its_size() -> None:
    recipe = parse_recipe({"images": {"mean": (0.5,), "std": (0.25,), "layout": "channels_last", "scaled": False}})
    told = model_metadata(recipe, {"ids": np.zeros((1, 9), np.int64), "image": np.zeros((1, 32, 48, 3), np.float32)})
    assert told == {
        "image_size": "32\n48",
        "image_layout": "nhwc",
        "image_dtype": "float32",
        "image_scaled": "false",
        "image_mean": "0.5",
        "image_std": "0.25",
    }


def test_what_a_users_file_says_stays_next_to_it() -> None:
    proto = ir.to_proto(graph("y = Relu(x)"))
    onnx.helper.set_model_props(proto, {"author": "me", "classes": "stale"})
    model = ir.from_proto(proto)
    told = metadata_of(finish(model, model, {"classes": "cat\ndog", **LICENCE}))
    assert told == {"author": "me", "classes": "cat\ndog", **LICENCE}


@pytest.mark.parametrize("name", ["do\udcffg", "a\nb", "a\x00"])
def test_names_that_are_no_text_end_in_one_line(name: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if "\x00" in name:
        given = ["--set", 'data.classes=["a\\u0000", "b"]', "--calibration", "batches.py:calibration"]
    else:
        for each in (name, "cat"):
            (project / "pictures" / each).mkdir(parents=True)
            Image.new("RGB", (16, 16)).save(project / "pictures" / each / "0.png")
        given = ["--calibration", "pictures"]
    assert main(["compress", "nets.py:net", *given, "--output", "made"]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    shown = name.encode("unicode_escape").decode()
    expected = f"error: 'data.classes' has '{shown}', which is no text of one line; rename the class, or its folder"
    assert told == expected
    assert not (project / "made").exists()


@pytest.mark.parametrize("given", ['"a\\nb"', '"a\\u2028b"', '"a\\u0085b"', '""'])
def test_a_licence_is_a_line_of_text(given: str, tmp_path: Path) -> None:
    with pytest.raises(edgecompress.RecipeError, match=r"export\.license"):
        _made(tmp_path / "made", f"export.license={given}")
    assert not (tmp_path / "made").exists()
