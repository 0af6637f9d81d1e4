"""The exact text of what is told of a model and of what is done with it: the cause, then the fix."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

from edgecompress import ModelPruner, Quantizer, compress
from edgecompress.bundle.revalidation import check_original
from edgecompress.calibration import joined_workers
from edgecompress.cli.demo_network import load_digits
from edgecompress.data.batches import Batch, Batches, InputNames
from edgecompress.data.dummy_inputs import input_specs
from edgecompress.data.splits import Streams
from edgecompress.errors import InputError
from edgecompress.inspection import inspect_model
from edgecompress.loading.models import load_model, load_teacher
from edgecompress.loading.onnx_files import check_onnx, read_onnx
from edgecompress.modules.capture import capture, check_runs
from edgecompress.modules.checks import check_module, check_network, check_teacher
from edgecompress.modules.copies import copied
from edgecompress.modules.forward import run_example
from edgecompress.modules.named_inputs import input_names
from edgecompress.pipeline.plan import make_plan
from edgecompress.pipeline.prepare import require_alike
from edgecompress.progress import Progress
from edgecompress.pruning.channels.structured import examine
from edgecompress.recipe.tables import Export, Recipe
from edgecompress.recipe.wording import in_options
from edgecompress.targets import effective_profile
from edgecompress.techniques.context import Context
from edgecompress.techniques.loss_gradients import loss_gradients
from edgecompress.training.checkpoint import Checkpoints

Mistake = Callable[[], object]
NETWORK = nn.Linear(3, 2)
ROWS = np.zeros((2, 3), np.float32)
CONTEXT = Context(recipe=Recipe(), example=Batch(inputs={"input": ROWS}))
FLOATS = torch.zeros(2, 3)


def _told(mistake: Mistake) -> str:
    with pytest.raises(InputError) as caught:
        mistake()
    return str(caught.value)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class _Same(nn.Module):
    def forward(self, *inputs: Tensor) -> Any:
        return ("nothing",)


class _Bad(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 0


class _Random(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


class _OneSize(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.ones(2, 3)


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
            " (2x3 and 4x2); give inputs as its forward takes them",
        ),
        (
            lambda: capture(_OneSize(), BATCH, Export()),
            "the model works for one batch size only; set export.batch_size=1",
        ),
        (_axes(y={"1": "length"}), "export.dynamic_axes names an input 'y'; the inputs are x"),
        (_axes(x={"5": "length"}), "export.dynamic_axes.x names axis 5; 'x' has 2 dimensions"),
        (
            lambda: require_alike(nn.Linear(4, 2), nn.Identity(), CONTEXT),
            "the teacher cannot run on the first batch: mat1 and mat2 shapes cannot be multiplied (1x3 and 4x2); give"
            " one that takes the model's inputs",
        ),
        (
            lambda: require_alike(nn.Identity(), nn.Linear(3, 2), CONTEXT),
            "the model gives (1, 2), its teacher (1, 3); give a teacher with the same outputs",
        ),
        (lambda: input_names(_Same()), "_Same.forward has no named input; write forward(self, x, ...)"),
        (
            lambda: check_module(nn.Linear(3, 2, device="meta")),
            "'weight' is on the meta device and has no values; load the weights first",
        ),
        (lambda: check_module(nn.LazyLinear(2)), "'weight' has no shape yet; run the model once"),
        (lambda: check_module(3), "the model is an int; give a torch.nn.Module"),
        (
            lambda: check_teacher(NETWORK, NETWORK),
            "teacher and student are the same module; give a copy, or a smaller network, as student",
        ),
        (lambda: copied(_Uncopied()), "_Uncopied cannot be copied (copy.deepcopy): it holds a lock; make it copyable"),
        (
            lambda: run_example(nn.Linear(4, 2), FLOATS),
            "Linear does not run on example_inputs: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x2);"
            " give inputs as its forward takes them",
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
            lambda: input_specs(_taking_texts()),
            "input 'x' is tensor(string), which cannot be made up; give a model that takes numbers",
        ),
        (
            lambda: check_onnx(_onnx(11)),
            "the ONNX model has opset 11; export it again with opset 18 or later",
        ),
        (
            lambda: check_onnx(_onnx(18, "y = QuantizeLinear(x, s)")),
            "the ONNX model is quantized already; give the float model, or set quantization.enabled=false",
        ),
        (
            lambda: read_onnx(_external("../w")),
            "'model.onnx' keeps weights in '../w', outside of its folder, which is not read; save the model with its"
            " weights in the same folder",
        ),
        (
            lambda: check_network(3),
            "the model is an int; give a torch.nn.Module, a torch.export.ExportedProgram or an onnx_ir.Model",
        ),
        (
            lambda: read_onnx(_cut_short("weights")),
            "'model.onnx' is not a valid ONNX model: the weights in 'weights' are cut short; export it again",
        ),
        (
            lambda: read_onnx(_external("gone")),
            "'model.onnx' keeps weights in 'gone', which does not exist; put it there",
        ),
    ],
)
def test_networks(mistake: Mistake, told: str) -> None:
    assert _told(mistake) == told


def _taking_texts() -> Any:
    """A session whose input takes texts."""
    return SimpleNamespace(get_inputs=lambda: [SimpleNamespace(name="x", type="tensor(string)", shape=[1])])


def _onnx(opset: int, body: str = "y = Relu(x)") -> ir.Model:
    text = f'<ir_version: 8, opset_import: ["" : {opset}]> g (float[2] x, float s) => (float[2] y) {{ {body} }}'
    return ir.from_proto(onnx.parser.parse_model(text))


def _external(place: str) -> Path:
    proto = ir.to_proto(_onnx(18))
    tensor = proto.graph.initializer.add(name="w", data_type=1, dims=[2], data_location=1)
    tensor.external_data.add(key="location", value=place)
    Path("model.onnx").write_bytes(proto.SerializeToString())
    return Path("model.onnx")


def _cut_short(place: str) -> Path:
    Path(place).write_bytes(b"four")  # two floats take eight bytes
    return _external(place)


class _Raising(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no such backbone")


def _nan() -> nn.Module:
    spoilt = nn.Linear(3, 3)
    nn.init.constant_(spoilt.weight, torch.nan)
    return nn.Sequential(spoilt, nn.Linear(3, 2))


def _frozen(context: Any = None) -> Mistake:
    network = nn.Linear(3, 2).requires_grad_(False)
    batches = Batches(role="train", source=lambda: [FLOATS], inputs=InputNames(names=("input",), required=1))
    given = SimpleNamespace(streams=Streams(train=batches), recipe=Recipe(), loss=None)
    return lambda: loss_gradients(network, cast("Context", given), "criterion 'taylor'")


ONES = {"x": np.ones(2, np.float32), "s": np.ones((), np.float32)}


def _saved_onnx() -> Path:
    ir.save(_onnx(18), "model.onnx")
    return Path("model.onnx")


PRUNING = effective_profile("cloud", ())


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (
            lambda: load_teacher(str(_saved_onnx())),
            "the teacher 'model.onnx' is no PyTorch module; give file.py:callable or module:callable",
        ),
        (
            lambda: in_options(compress)(nn.Linear(3, 2), target="mobile"),
            "there is no data to capture the model with; give calibration (--calibration): file.py:callable that"
            " returns batches, an .npy or .npz file, or a folder of pictures",
        ),
        (
            lambda: make_plan(_onnx(18), PRUNING),
            "pruning needs the PyTorch module; give file.py:callable, or set pruning.enabled=false",
        ),
        (
            lambda: examine(_Raising(), (FLOATS,)),
            "torch.export cannot capture the model: no such backbone; simplify its forward",
        ),
        (
            lambda: ModelPruner(_nan()).magnitude_pruning(0.5),
            "the weight '0.weight' holds NaN; repair it, or name its module in protect",
        ),
        (
            lambda: Quantizer.dynamic_quantize(nn.Linear(3, 2)).save("model.onnx"),
            "the dynamic model was never called; call it once, or give example_inputs",
        ),
        (
            _frozen(),
            "criterion 'taylor' needs gradients, and no parameter requires one; unfreeze the model",
        ),
        (
            lambda: check_original(_saved_onnx(), [(ONES, [np.ones(3)])]),
            "'model.onnx' gives outputs of shapes [(2,)], the bundle [(3,)]; give the float model of the bundle as an"
            " ONNX file",
        ),
        (
            lambda: check_original(_saved_onnx(), [({}, [])]),
            "'model.onnx' does not run on the bundle's inputs: Required inputs (['x', 's']) are missing from input feed"
            " ([]).; give the float model of the bundle as an ONNX file",
        ),
    ],
)
def test_the_front_end(mistake: Mistake, told: str) -> None:
    assert _told(mistake) == told


def test_the_demo_without_its_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert _told(load_digits) == "the demo needs scikit-learn; pip install 'edgecompress[demo]'"


def test_workers_that_do_not_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no rendezvous")

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("torch.distributed.init_process_group", fail)
    assert _told(lambda: joined_workers().__enter__()) == (
        "the 2 workers that WORLD_SIZE names do not meet: no rendezvous; start them by torchrun or accelerate launch,"
        " or unset WORLD_SIZE"
    )


def test_a_state_that_cannot_be_read_back(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "run", None, 60)
    found = _told(lambda: checkpoints.save({"optimizer": _Raising()}, 1))
    assert re.fullmatch(
        "the state of the optimizer or the scheduler cannot be read back from a checkpoint: Weights only load failed.*;"
        " keep only numbers and tensors in it, or train without checkpoints",
        found,
    )
