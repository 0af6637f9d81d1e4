"""The exact text of what a user's mistake is told, by the room that tells it: the culprit, then the mend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

from edgecompress.capture import capture, check_runs
from edgecompress.cli.recommend import _check_given
from edgecompress.conversion import _check_alike, _check_data
from edgecompress.data import Batch, Batches, InputNames, TensorSpec, rereadable
from edgecompress.dummy_inputs import _spec
from edgecompress.errors import InputError
from edgecompress.inspection import inspect_model
from edgecompress.loading import load_data, load_model, load_teacher, load_weights
from edgecompress.metrics import top1
from edgecompress.module_checks import check_module, check_teacher
from edgecompress.named_inputs import input_names
from edgecompress.onnx_files import read_onnx
from edgecompress.plan import check_onnx
from edgecompress.progress import Progress
from edgecompress.pruning.forward import run_example
from edgecompress.pruning.masks.mask import copied
from edgecompress.recipe import Export, Images, Quantization, Recipe
from edgecompress.streams import Streams

Mistake = Callable[[], object]
ROWS = np.zeros((2, 3), np.float32)
FLOATS = torch.zeros(2, 3)


def _told(mistake: Mistake) -> str:
    with pytest.raises(InputError) as caught:
        mistake()
    return str(caught.value)


def _read(raw: Any, *signature: TensorSpec) -> Mistake:
    inputs = InputNames(names=("x",), required=1)
    return lambda: list(Batches(role="calibration", source=lambda: [raw], inputs=inputs, signature=signature))


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
    return lambda: list(load_data("pictures", "evaluation", Images())())


def _dumped(content: Any) -> str:
    torch.save(content, "weights.pt")
    return "weights.pt"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({}, "calibration batch 0 holds no inputs; the model takes x"),
        ((ROWS, ROWS, ROWS), "calibration batch 0 has 3 inputs; the model takes x"),
        ("a cat", "calibration batch 0: 'x' is a str; a tensor of numbers is needed"),
        (np.zeros(()), "calibration batch 0: 'x' has shape (); the first dimension must be the batch, and not 0"),
        (
            (ROWS, np.zeros(2)),
            "calibration batch 0: labels are float64; give class indices (integers), or leave labels out",
        ),
        (
            (ROWS, np.zeros(3, int)),
            "calibration batch 0 has 2 samples but labels of shape (3,); give each its own",
        ),
        (
            {"picture": ROWS},
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
        (lambda: rereadable(lambda: FLOATS, "train"), "the train data is a Tensor; return an iterable of batches"),
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
            lambda: top1(ROWS, np.full(2, 3)),
            "the batch: label 3 is out of range; the model gives 3 classes, 0 to 2",
        ),
        (
            lambda: _check_data(Recipe(quantization=Quantization(enabled=True)), Streams()),
            "static quantization needs calibration data; give calibration (--calibration)",
        ),
        (
            lambda: _check_given("net.py:net", None, {}, measure=True),
            "the model is measured on calibration data; give --calibration",
        ),
    ],
)
def test_data(mistake: Mistake, told: str) -> None:
    assert _told(mistake) == told


STREAM = (batch for batch in [ROWS])


def test_files_of_data() -> None:
    read = {
        "absent.npz": "evaluation file 'absent.npz' does not exist; check the path",
        _written("junk.npz", "junk"): (
            "'junk.npz' cannot be read as npz: it is damaged, no npz, larger than memory, or holds objects;"
            " write arrays with numpy.savez"
        ),
        _saved("rows.npz", x=ROWS, y=np.zeros(3)): (
            "'rows.npz': arrays need the same first dimension, not {'x': 2, 'y': 3}; save one row for each sample"
        ),
    }
    for name, told in read.items():
        assert _told(lambda name=name: list(load_data(name, "evaluation", Images())())) == told  # type: ignore[misc]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (b"\xff\xfe", "'pictures/labels.csv' is not UTF-8 text; save it as UTF-8"),
        (
            b"image,label\ncat.png,cat\n",
            "'pictures/labels.csv' line 2 is 'cat.png,cat'; write 'image,label', the label a class from 0",
        ),
        (
            b"cat.png,1\n",
            "image 'pictures/cat.png' cannot be read: cannot identify image file 'pictures/cat.png'; mend the file,"
            " or take it out of labels.csv",
        ),
    ],
)
def test_folders_of_images(lines: bytes, told: str) -> None:
    _written("pictures/cat.png", "no picture")
    assert _told(_listed(lines)) == told


def test_a_folder_without_labels() -> None:
    Path("pictures").mkdir()
    assert _told(lambda: list(load_data("pictures", "evaluation", Images())())) == (
        "folder 'pictures' has no labels.csv; write one line 'image,label' for each image"
    )


CODE = """
net = 3
def needs(width): pass
def raises(): raise RuntimeError("no such backbone")
def number(): return 3
"""


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("absent.onnx", "model file 'absent.onnx' does not exist; check the path"),
        ("absent.py:net", "file 'absent.py' does not exist; check the path"),
        (
            "absent_module:net",
            "module 'absent_module' cannot be imported: No module named 'absent_module'; install it, or check the name",
        ),
        ("net", "model 'net' is neither a known file nor a callable; give file.py:callable or package.module:callable"),
        ("mistaken.py:ned", "'mistaken.py' has no callable 'ned'; did you mean 'needs'?"),
        ("mistaken.py:zzz", "'mistaken.py' has no callable 'zzz'; name one that it has"),
        ("mistaken.py:net", "'mistaken.py:net' is a int, not a callable; name a function"),
        ("mistaken.py:needs", "'mistaken.py:needs' needs the argument 'width'; give a callable that takes none"),
        ("mistaken.py:raises", "'mistaken.py:raises' raised RuntimeError: no such backbone; repair it"),
        ("mistaken.py:number", "'mistaken.py:number' returned a int; return a torch.nn.Module"),
        ("broken.py:net", "'broken.py' raised ValueError: too early; repair it"),
        ("junk.onnx", "'junk.onnx' is not a valid ONNX model: "),
        ("folder", "'folder' is a folder; give a file in it, folder/model.onnx for a bundle"),
        (
            "junk.pt2",
            f"'junk.pt2' is no program of torch.export.save that PyTorch {torch.__version__} can read; save it again"
            " with torch.export.save",
        ),
    ],
)
def test_a_model(spec: str, told: str) -> None:
    for name in ("junk.onnx", "junk.pt2"):
        _written(name, "junk")
    _written("mistaken.py", CODE)
    _written("broken.py", "raise ValueError('too early')")
    Path("folder").mkdir()
    found = _told(lambda: load_model(spec))
    if spec == "junk.onnx":  # then what the parser says
        assert found.startswith(told)
        assert found.endswith("; export it again")
    else:
        assert found == told


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("absent.pt", None, "weights file 'absent.pt' does not exist; check the path"),
        (
            "w.safetensors",
            b"junk",
            "weights 'w.safetensors' are not safetensors: Error while deserializing header: header too small; save"
            " them again",
        ),
        (
            "w.pt",
            b"junk",
            "weights 'w.pt' are no plain state dict and were not executed; save model.state_dict() with torch.save or"
            " safetensors",
        ),
        ("weights.pt", [FLOATS], "weights 'weights.pt' hold no state dict; save model.state_dict()"),
        (
            "weights.pt",
            {"weight": FLOATS},
            "weights 'weights.pt' do not fit the model (missing: bias); give this model's own",
        ),
        (
            "weights.pt",
            {"weight": FLOATS, "bias": torch.zeros(2)},
            "weights 'weights.pt' do not fit the model: 'bias' has shape (2,), the model's is (3,); give this model's"
            " own",
        ),
    ],
)
def test_weights(name: str, content: Any, told: str) -> None:
    if isinstance(content, bytes):
        _written(name, content)
    elif content is not None:
        _dumped(content)
    network = nn.Linear(3, 2)
    network.bias = nn.Parameter(torch.zeros(3))
    assert _told(lambda: load_weights(network, Path(name))) == told


class _Same(nn.Module):
    def forward(self, *inputs: Tensor) -> Any:
        return ("nothing",)


class _Bad(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 0


class _Random(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


class _NoTensor(nn.Module):
    def forward(self, x: Tensor) -> str:
        return "nothing"


class _Uncopied(nn.Module):
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("it holds a lock")


BATCH = Batch(inputs={"x": ROWS + 1})


def _check(network: nn.Module) -> Mistake:
    return lambda: check_runs(network, BATCH)


def _axes(**axes: dict[str, str]) -> Mistake:
    return lambda: capture(nn.Identity(), BATCH, Export.model_validate({"dynamic_axes": axes}))


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (_check(_NoTensor()), "the model returns no tensor; return a tensor, or a tuple or dict of tensors"),
        (_check(_Bad()), "the model's outputs on the first batch are not finite; check weights and preprocessing"),
        (_check(_Random()), "the model answers differently to the same input; remove the randomness from its forward"),
        (
            lambda: check_runs(nn.Linear(4, 2), Batch(inputs={"input": ROWS})),
            "the model cannot run on the first batch (input float32 (2, 3)): mat1 and mat2 shapes cannot be multiplied"
            " (2x3 and 4x2); give what it takes",
        ),
        (_axes(y={"1": "length"}), "export.dynamic_axes names an input 'y'; the inputs are x"),
        (_axes(x={"5": "length"}), "export.dynamic_axes.x names axis 5; 'x' has 2 dimensions"),
        (
            lambda: _check_alike(nn.Linear(4, 2), nn.Identity(), {"input": ROWS}),
            "the teacher cannot run on the first batch: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x2); give"
            " one that takes the model's inputs",
        ),
        (
            lambda: _check_alike(nn.Identity(), nn.Linear(3, 2), {"input": ROWS}),
            "the model gives (2, 2), its teacher (2, 3); give a teacher with the same outputs",
        ),
        (lambda: input_names(_Same()), "_Same.forward has no named input; write forward(self, x, ...)"),
        (
            lambda: check_module(nn.Linear(3, 2, device="meta")),
            "'weight' is on the meta device and has no values; load the weights first",
        ),
        (lambda: check_module(nn.LazyLinear(2)), "'weight' has no shape yet; run the model once"),
        (lambda: check_module(3), "the model is a int; give a torch.nn.Module"),
        (
            lambda: check_teacher(NETWORK, NETWORK),
            "teacher and student are the same module; give a copy, or a smaller network, as student",
        ),
        (lambda: copied(_Uncopied()), "_Uncopied cannot be copied (copy.deepcopy): it holds a lock; mend that"),
        (
            lambda: run_example(nn.Linear(4, 2), FLOATS),
            "Linear does not run on example_inputs: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x2); give what"
            " it takes",
        ),
        (
            lambda: load_model("model.onnx", "weights.pt"),
            "'model.onnx' holds its own weights; leave --weights out",
        ),
        (
            lambda: load_teacher(None, "weights.pt"),
            "the teacher's weights 'weights.pt' have no teacher; give --teacher file.py:callable too",
        ),
        (
            lambda: inspect_model("model.onnx", "weights.pt", None, Recipe(), Progress()),
            "weights 'weights.pt' are for a module, and 'model.onnx' holds its own; leave --weights out",
        ),
        (
            lambda: _spec("x", "tensor(string)", [1]),
            "input 'x' is tensor(string), which cannot be made up; give a model that takes numbers",
        ),
        (
            lambda: check_onnx(_onnx(11)),
            "the ONNX model has opset 11; export it again with opset 18 or later",
        ),
        (
            lambda: check_onnx(_onnx(18, "y = QuantizeLinear(x, s)")),
            "the ONNX model is quantized already; give the float model, or --set quantization.enabled=false",
        ),
        (
            lambda: read_onnx(_external("../w")),
            "'model.onnx' keeps weights in '../w', outside of its folder, which is not read; save the model with its"
            " weights beside it",
        ),
        (
            lambda: read_onnx(_external("gone")),
            "'model.onnx' keeps weights in 'gone', which does not exist; put it there",
        ),
    ],
)
def test_networks(mistake: Mistake, told: str) -> None:
    assert _told(mistake) == told


NETWORK = nn.Linear(3, 2)


def _onnx(opset: int, body: str = "y = Relu(x)") -> ir.Model:
    text = f'<ir_version: 8, opset_import: ["" : {opset}]> g (float[2] x, float s) => (float[2] y) {{ {body} }}'
    return ir.from_proto(onnx.parser.parse_model(text))


def _external(place: str) -> Path:
    proto = ir.to_proto(_onnx(18))
    tensor = proto.graph.initializer.add(name="w", data_type=1, dims=[2], data_location=1)
    tensor.external_data.add(key="location", value=place)
    Path("model.onnx").write_bytes(proto.SerializeToString())
    return Path("model.onnx")
