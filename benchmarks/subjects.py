"""What is quantized: the float ONNX file of a network, as torch exports it, and the data for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
from torch import Tensor, nn

from benchmarks.networks import NETWORKS, images
from benchmarks.small_networks import SMALL, Small
from edgecompress.data.batches import Batches
from edgecompress.exporters.onnx import to_onnx
from edgecompress.loading.models import load_model
from edgecompress.loading.sources import open_batches
from edgecompress.modules.capture import capture
from edgecompress.recipe.tables import Recipe, Validation
from edgecompress.runtime import to_bytes

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = Path(os.environ.get("EDGECOMPRESS_EXAMPLE", ROOT.parent / "shared" / "example"))
SEEDED_IMAGES, BATCH = 32, 8

Kind = Literal["residual", "mobile", "transformer", "small"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One network. ``calibration`` and ``evaluation`` are DATA; only trained networks have labels.

    ``emulated_images`` of the latter are run on an emulated CPU. On random images no class means anything, and a few
    tell whether products saturate.
    """

    title: str
    kind: Kind
    network: Callable[[], Any]
    calibration: Any
    evaluation: Any
    emulated_images: int


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The files that every quantizer reads, and the data on which the outcome is judged."""

    folder: Path
    evaluation: Batches

    @property
    def float_file(self) -> Path:
        """The float ONNX file."""
        return self.folder / "float.onnx"


def _trained(name: str, title: str, kind: Kind, calibration: str, evaluation: str) -> Subject:
    return Subject(
        title=title,
        kind=kind,
        network=lambda: load_model(f"{EXAMPLE}/models.py:{name}", f"{EXAMPLE}/weights/{name}.safetensors"),
        calibration=f"{EXAMPLE}/data.py:{calibration}",
        evaluation=f"{EXAMPLE}/data.py:{evaluation}",
        emulated_images=Validation().samples,
    )


def _seeded(name: str, title: str, kind: Kind) -> Subject:
    return _untrained(title, kind, NETWORKS[name], images)


def _small(network: Small) -> Subject:
    return _untrained(network.title, "small", network.network, network.inputs)


def _untrained(title: str, kind: Kind, network: Callable[[], nn.Module], draw: Callable[[int, int], Tensor]) -> Subject:
    return Subject(
        title=f"{title}, seeded random weights, {SEEDED_IMAGES} random samples to calibrate and as many to judge",
        kind=kind,
        network=network,
        calibration=_batches(draw(SEEDED_IMAGES, 2)),
        evaluation=_batches(draw(SEEDED_IMAGES, 3)),
        emulated_images=BATCH,
    )


def _batches(drawn: Tensor) -> list[Tensor]:
    return [drawn[start : start + BATCH] for start in range(0, SEEDED_IMAGES, BATCH)]


def subjects() -> dict[str, Subject]:
    """Every network by name."""
    imagenet, cifar10 = ("imagenet_calibration", "imagenet_validation"), ("cifar10_calibration", "cifar10_test")
    return {
        "mobilenet_v1": _trained("mobilenet_v1", "MobileNetV1 0.75, trained, 650 images", "mobile", *imagenet),
        "resnet20": _trained("resnet20", "ResNet-20, trained, 5,000 images", "residual", *cifar10),
        "resnet50": _seeded("resnet50", "ResNet-50", "residual"),
        "mobilenet_v2": _seeded("mobilenet_v2", "MobileNetV2", "mobile"),
        "mobilenet_v2_kaiming": _seeded("mobilenet_v2_kaiming", "MobileNetV2 (Kaiming)", "mobile"),
        "vit_tiny": _seeded("vit_tiny", "ViT-tiny", "transformer"),
        **{name: _small(network) for name, network in SMALL.items()},
    }


def prepare(subject: Subject, folder: Path) -> Prepared:
    """Write the float ONNX file and the calibration batches, one file each, so that nobody has to hold them all."""
    network: nn.Module = subject.network()
    calibration = open_batches(subject.calibration, "calibration", network, Recipe())
    program = capture(network.eval(), calibration.first(), Recipe().export)
    (folder / "float.onnx").write_bytes(to_bytes(to_onnx(program, Recipe().export)))
    write_calibration(calibration, folder)
    model = ir.load(folder / "float.onnx")
    return Prepared(folder=folder, evaluation=open_batches(subject.evaluation, "evaluation", model, Recipe()))


def write_calibration(batches: Batches, folder: Path) -> None:
    """A file in ``folder/calibration`` for each batch."""
    (folder / "calibration").mkdir()
    for index, batch in enumerate(batches):
        np.savez(folder / "calibration" / f"{index:04}.npz", allow_pickle=False, **batch.inputs)


def calibration_batches(folder: Path) -> Iterator[dict[str, Any]]:
    """The batches that :func:`write_calibration` wrote, one in memory at a time."""
    for file in sorted((folder / "calibration").glob("*.npz")):
        with np.load(file, allow_pickle=False) as pack:
            yield dict(pack)
