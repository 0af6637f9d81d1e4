"""The exact text of what is told of data: the cause, then the fix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgecompress.api.recommend import recommend
from edgecompress.arrays import TensorSpec
from edgecompress.data.batches import ANY, Batches, InputNames, rereadable
from edgecompress.data.splits import Streams
from edgecompress.errors import InputError
from edgecompress.loading.sources import load_data, open_source
from edgecompress.metrics.accuracy import top1
from edgecompress.pipeline.prepare import require_data, require_fitting
from edgecompress.recipe.tables import Quantization, Recipe
from edgecompress.recipe.wording import in_options

Mistake = Callable[[], object]
ROWS = np.zeros((2, 3), np.float32)
FLOATS = torch.zeros(2, 3)
STREAM = (batch for batch in [ROWS])


def _told(mistake: Mistake) -> str:
    with pytest.raises(InputError) as caught:
        mistake()
    return str(caught.value)


def _read(raw: Any, *signature: TensorSpec) -> Mistake:
    inputs = InputNames(names=("x",), required=1)
    return lambda: list(Batches(role="calibration", source=lambda: [raw], inputs=inputs, signature=signature))


def _measured(targets: Any) -> Mistake:
    inputs = InputNames(names=("x",), required=1)
    return lambda: list(Batches(role="evaluation", source=lambda: [(ROWS, targets)], inputs=inputs, label_kinds=ANY))


def _batches(role: str) -> Batches:
    return Batches(role=role, source=lambda: [ROWS], inputs=InputNames(names=("x",), required=1))


class _Refusing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("no such width")


def _spec_of(name: str, *shape: int | str) -> TensorSpec:
    return TensorSpec(name=name, dtype=np.dtype(np.float32), shape=shape)


def _written(name: str, content: bytes | str) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def _saved(name: str, **arrays: Any) -> str:
    np.savez(name, **arrays)
    return name


def _listed(lines: bytes) -> Mistake:
    _written("pictures/labels.csv", lines)
    return lambda: list(open_source("pictures", "evaluation", Recipe())())


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_targets_without_a_sample_for_each_row_are_told() -> None:
    assert _told(_measured([{"boxes": np.zeros((1, 4))}, None])) == (
        "evaluation batch 0: sample 1 has no target; give one for each sample, or none at all"
    )


@pytest.mark.parametrize("dtype", ["float16", "float64", "bool", "uint8", "int32"])
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (2, 1, 2)])
def test_targets_of_a_metric_are_numbers_of_any_shape(dtype: str, shape: tuple[int, ...]) -> None:
    batches: Any = _measured(np.ones((len(ROWS), *shape), dtype))()
    (batch,) = batches
    assert (batch.labels.dtype, batch.labels.shape) == (dtype, (len(ROWS), *shape))


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({}, "calibration batch 0 holds no inputs; the model takes x"),
        (((ROWS, ROWS, ROWS), None), "calibration batch 0 has 3 inputs; the model takes x"),
        ("a cat", "calibration batch 0: 'x' is a str; a tensor of numbers is needed"),
        (np.zeros(()), "calibration batch 0: 'x' has shape (); the first dimension must be the batch, and not 0"),
        (
            (ROWS, np.zeros(2)),
            "calibration batch 0: labels are float64; give class indices (integers), or leave labels out",
        ),
        (
            (ROWS, [{"boxes": np.zeros((1, 4))}, {"boxes": np.zeros((2, 4))}]),
            "calibration batch 0: labels are a list that is no array of numbers; give class indices, an integer array"
            " of shape (rows,), name a metric that takes them (--metric), or leave labels out",
        ),
        (
            (ROWS, np.zeros(3, int)),
            "calibration batch 0 has 2 samples but labels of shape (3,); give each its own",
        ),
        (
            {"picture": ROWS, "mask": ROWS},
            "calibration batch 0 has an input 'picture' that the model does not take; its inputs are x",
        ),
        (
            FLOATS.bfloat16(),
            "calibration batch 0: 'x' is bfloat16, which ONNX Runtime does not run here; convert it to float32",
        ),
        (ROWS + np.nan, "calibration batch 0: 'x' holds NaN; clean the data or its preprocessing"),
        (ROWS + np.inf, "calibration batch 0: 'x' holds infinity; clean the data or its preprocessing"),
    ],
)
def test_a_batch(raw: Any, told: str) -> None:
    assert _told(_read(raw)) == told


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (
            _read(ROWS, _spec_of("y", "batch")),
            "calibration batch 0 lacks the input 'y'; the exported model takes float32 (batch)",
        ),
        (
            _read(ROWS, _spec_of("x", "batch", 4)),
            "calibration batch 0: 'x' is float32 (2, 3); the exported model takes float32 (batch, 4)",
        ),
        (
            lambda: rereadable(lambda: STREAM, "train"),
            "the train data can be read only once; return a list, a DataLoader or a new generator",
        ),
        (
            lambda: rereadable(lambda: FLOATS[0, 0], "train"),
            "the train data is a Tensor; return an iterable of batches",
        ),
        (
            lambda: rereadable(lambda: 1 // 0, "train"),  # type: ignore[arg-type,return-value]
            "the train data raised ZeroDivisionError: integer division or modulo by zero; repair the code that makes"
            " it",
        ),
        (
            lambda: top1(ROWS, np.zeros(4, int)),
            "the batch: labels of shape (4,) do not fit outputs of shape (2, 3); give a class for each row",
        ),
        (
            lambda: top1(ROWS, np.eye(2, 3, dtype=int)),
            "the batch: labels and outputs have one shape, (2, 3); give scores for each class as outputs, or class"
            " indices for one-hot labels, labels.argmax(1)",
        ),
        (
            lambda: top1(ROWS[:, :1], np.zeros((2, 1), int)),
            "the batch: outputs of shape (2, 1) have one score in the place of one for each class; give those of both"
            " classes (--postprocess), and labels.squeeze(1)",
        ),
        (
            lambda: top1(ROWS, np.zeros((2, 1), int)),
            "the batch: labels of shape (2, 1) do not fit outputs of shape (2, 3); give them without the dimension of"
            " 1, labels.squeeze(-1)",
        ),
        (
            lambda: top1(ROWS, np.full(2, 3)),
            "the batch: label 3 is out of range; the model gives 3 classes; number them 0 to 2, and give -100 for what"
            " does not count, or name it (training.ignore_index)",
        ),
        (
            lambda: require_data(Recipe(quantization=Quantization(enabled=True)), Streams()),
            "static quantization needs calibration data; give calibration (--calibration)",
        ),
        (
            lambda: require_fitting(_Refusing(), Streams(evaluation=_batches("evaluation")), trains=False),
            "evaluation batch 0 does not fit the model: no such width; give inputs as its forward takes them",
        ),
        (
            lambda: in_options(recommend)(model="net.py:net", measure=True),
            "the model is measured on calibration data; give --calibration",
        ),
    ],
)
def test_data(mistake: Mistake, told: str) -> None:
    assert _told(mistake) == told


def test_files_of_data() -> None:
    read = {
        "absent.npz": "evaluation file 'absent.npz' does not exist; check the path",
        _written("junk.npz", "junk"): (
            "'junk.npz' cannot be read as npz: it is damaged, no npz, larger than memory, or holds objects;"
            " write arrays with numpy.savez"
        ),
        _saved("rows.npz", x=ROWS, y=np.zeros(3)): (
            "'rows.npz': arrays need the same first dimension, not {'x': 2, 'y': 3}; save one row for each sample,"
            " or name the axis that holds the samples (export.batch_axes.NAME)"
        ),
    }
    for name, told in read.items():
        assert _told(lambda name=name: list(load_data(name, "evaluation")())) == told  # type: ignore[misc]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (b"\xff\xfe", "'pictures/labels.csv' is not UTF-8 text; save it as UTF-8"),
        (
            b"cat.png,cat\ndog.png,1\n",
            "'pictures/labels.csv' line 1 has the label 'cat', where others have numbers; give all as class"
            " indices from 0, or all as names",
        ),
        (
            b"cat.png,1\n",
            "image 'pictures/cat.png' cannot be read: cannot identify image file 'pictures/cat.png'; repair the file,"
            " or take it out",
        ),
    ],
)
def test_folders_of_images(lines: bytes, told: str) -> None:
    _written("pictures/cat.png", "no picture")
    assert _told(_listed(lines)) == told


def test_a_folder_without_pictures() -> None:
    Path("pictures").mkdir()
    assert _told(lambda: list(open_source("pictures", "evaluation", Recipe())())) == (
        "the evaluation folder 'pictures' is empty; put a folder of pictures for each class there, or pictures with"
        " labels.csv, or name another folder"
    )
