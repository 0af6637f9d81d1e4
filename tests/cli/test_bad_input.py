"""Each mistake of a user ends in one line that names the culprit and the fix, and leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgecompress.cli import main
from edgecompress.loading.models import load_model
from edgecompress.pipeline import fold as conversion
from edgecompress.pruning.reload.pruned_file import pruned_file

Refused = Callable[..., str]
OUTPUT = "out"

NETS = """
import torch
from torch import nn
from tests.networks import ConvNet, seeded

def needs_argument(width): return seeded(ConvNet)
def no_module(): return {"weights": 1}
def raises(): raise RuntimeError("no such backbone")
def leaves(): raise SystemExit(0)

class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)
    def forward(self, image):
        if image.sum() > 0:
            return self.layer(image)
        return -self.layer(image)

def branches(): return Branches()

class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)
    def forward(self, image):
        return self.layer(image + torch.rand_like(image))

def noisy(): return Noisy()

class Leaving(nn.Module):
    def forward(self, image):
        raise SystemExit("bye")

def leaving(): return Leaving()
"""

DATA = """
import torch
from tests.networks import images

def good(): return images()
def empty(): return []
def wrong_shape(): return [torch.zeros(4, 3, 16)]
def later_shape(): return [torch.randn(4, 3, 16, 16), torch.randn(4, 3, 12, 16)]
def wrong_dtype(): return [torch.zeros(4, 3, 16, 16, dtype=torch.float64)]
def text(): return ["a cat"]
def nan(): return [torch.full((4, 3, 16, 16), torch.nan)]
def infinity(): return [torch.full((4, 3, 16, 16), torch.inf)]
STREAM = (batch for batch in images())
def once(): return STREAM
def raises():
    yield images()[0]
    raise OSError("disk gone")
def raises_at_once():
    raise OSError("no disk")
    yield
def leaves():
    yield images()[0]
    raise SystemExit(0)
def leaves_at_once(): raise SystemExit(1)
def no_batches(): return 3
def far_label():
    batches = images()
    batches[1][1][2] = 10
    return batches
def other_input(): return [{"picture": torch.zeros(4, 3, 16, 16), "mask": torch.zeros(4, 2)}]
def grey(): return [(torch.zeros(4, 1, 16, 16), torch.zeros(4, dtype=torch.int64))]
def smaller(): return [torch.randn(4, 3, 12, 16)]
def later_grey(): return images() + grey()
def far_labels(): return [(x, y + 10) for x, y in images()]
"""


@pytest.fixture
def refused(project: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a compression that must be refused; its one line. What is only found on the way follows the plan."""
    (project / "bad_nets.py").write_text(NETS)
    (project / "bad_batches.py").write_text(DATA)
    before = {path.name for path in project.iterdir()}

    def run(
        model: str = "nets.py:net", *options: str, calibration: str = "bad_batches.py:good", planned: bool = False
    ) -> str:
        status = main(["compress", model, "--calibration", calibration, "--output", OUTPUT, *options])
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        assert ("capture" in captured.out) is planned
        assert status == 2
        assert [line for line in lines if not line.startswith("warning: ")] == lines[-1:]
        assert lines[-1].startswith("error: ")
        left = {path.name for path in project.iterdir()} - before - {"__pycache__"}
        assert not [name for name in left if name == OUTPUT or name.endswith(".partial")]
        return lines[-1].removeprefix("error: ")

    return run


def test_a_missing_model_file(refused: Refused) -> None:
    assert refused("absent.py:net") == "file 'absent.py' does not exist; check the path"
    assert refused("absent.onnx") == "model file 'absent.onnx' does not exist; check the path"


def test_a_missing_module(refused: Refused) -> None:
    assert refused("absent_module:net").startswith("module 'absent_module' cannot be imported")


def test_a_missing_callable(refused: Refused) -> None:
    assert refused("nets.py:nett") == "'nets.py' has no callable 'nett'; did you mean 'net'?"


def test_a_model_without_callable(refused: Refused) -> None:
    assert refused("nets.py").startswith("model 'nets.py' is a file of code; name a callable of it: nets.py:net or ")
    assert "file.py:callable" in refused("nets")


def test_a_callable_that_needs_arguments(refused: Refused) -> None:
    assert refused("bad_nets.py:needs_argument") == (
        "'bad_nets.py:needs_argument' needs the argument 'width'; give a function without arguments that returns it"
    )


def test_a_callable_that_returns_no_module(refused: Refused) -> None:
    line = refused("bad_nets.py:no_module")
    assert line == "'bad_nets.py:no_module' returned a dict, not a torch.nn.Module; return one"


def test_a_callable_that_raises(refused: Refused) -> None:
    assert refused("bad_nets.py:raises") == "'bad_nets.py:raises' raised RuntimeError: no such backbone; repair it"


def test_a_callable_that_leaves_the_program(refused: Refused) -> None:
    assert refused("bad_nets.py:leaves") == "'bad_nets.py:leaves' raised SystemExit: 0; repair it"


def test_a_model_that_leaves_the_program_when_it_runs(refused: Refused) -> None:
    assert refused("bad_nets.py:leaving").endswith(": bye; give inputs as its forward takes them")


def test_a_script_that_leaves_the_program_when_it_is_imported(refused: Refused, project: Path) -> None:
    (project / "script.py").write_text("import sys\nsys.exit('usage: script.py FILE')\n")
    assert refused("script.py:net") == "'script.py' raised SystemExit: usage: script.py FILE; repair it"
    assert (
        refused("script:net")
        == "module 'script' cannot be imported: usage: script.py FILE; install it, or check the name"
    )


def _state() -> dict[str, torch.Tensor]:
    network = load_model("nets.py:net")
    assert isinstance(network, torch.nn.Module)
    return dict(network.state_dict())


def test_weights_that_do_not_exist(refused: Refused) -> None:
    assert (
        refused("nets.py:net", "--weights", "no.safetensors")
        == "weights file 'no.safetensors' does not exist; check the path"
    )


def test_weights_with_missing_keys(refused: Refused) -> None:
    state = _state()
    del state["classifier.bias"]
    save_file(state, "few.safetensors")
    assert "missing: classifier.bias" in refused("nets.py:net", "--weights", "few.safetensors")


def test_weights_with_extra_keys(refused: Refused) -> None:
    torch.save({**_state(), "head.weight": torch.zeros(1)}, "many.pt")
    assert "unexpected: head.weight" in refused("nets.py:net", "--weights", "many.pt")


def test_weights_of_the_wrong_shape(refused: Refused) -> None:
    save_file({**_state(), "classifier.bias": torch.zeros(3)}, "wrong.safetensors")
    line = refused("nets.py:net", "--weights", "wrong.safetensors")
    assert "'classifier.bias' has shape (3,), the model's is (10,)" in line


def _pruned() -> bytearray:
    network = load_model("nets.py:net")
    assert isinstance(network, torch.nn.Module)
    return bytearray(pruned_file(network))


def test_the_file_of_another_pruned_network(refused: Refused) -> None:
    Path("other.safetensors").write_bytes(_pruned())
    line = refused("nets.py:residual", "--weights", "other.safetensors")
    assert line.startswith("'other.safetensors' does not fit the model (")
    assert line.endswith("; give an instance of the pruned class, built as it was")


def test_the_file_of_a_pruned_network_with_another_byte(refused: Refused) -> None:
    content = _pruned()
    content[-1] ^= 1
    Path("changed.safetensors").write_bytes(content)
    line = refused("nets.py:net", "--weights", "changed.safetensors")
    assert line == "'changed.safetensors' was changed after it was written; save it again"


def test_the_file_of_a_pruned_network_by_a_newer_version(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr("edgecompress.pruning.reload.pruned_file.VERSION", 2)
        Path("newer.safetensors").write_bytes(_pruned())
    line = refused("nets.py:net", "--weights", "newer.safetensors")
    assert line == "'newer.safetensors' has format version 2, this program reads 1; update it"


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


def test_a_pickle_that_is_no_state_dict_is_not_executed(refused: Refused, project: Path) -> None:
    torch.save(_Bomb(), "bomb.pt")
    assert "were not executed" in refused("nets.py:net", "--weights", "bomb.pt")
    assert not (project / "executed").exists()


def test_a_model_that_cannot_be_captured_shows_its_own_line(refused: Refused) -> None:
    line = refused("bad_nets.py:branches", planned=True)
    assert "torch.export cannot capture the model" in line
    assert "bad_nets.py:16: if image.sum() > 0:" in line


def test_a_model_that_is_random(refused: Refused) -> None:
    assert "answers differently to the same input" in refused("bad_nets.py:noisy")


def test_a_file_that_is_no_onnx_model(refused: Refused, project: Path) -> None:
    (project / "garbage.onnx").write_bytes(b"not an ONNX model")
    assert refused("garbage.onnx").startswith("'garbage.onnx' is not a valid ONNX model")


def test_a_file_that_is_no_program(refused: Refused, project: Path) -> None:
    (project / "garbage.pt2").write_bytes(b"not a program")
    assert refused("garbage.pt2").startswith("'garbage.pt2' is no program of torch.export.save")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty", "the calibration data yields no batches"),
        ("wrong_shape", "float32 (4, 3, 16)"),
        ("later_shape", "calibration batch 1: 'image' is float32 (4, 3, 12, 16)"),
        ("wrong_dtype", "float64 (4, 3, 16, 16)"),
        ("text", "a tensor of numbers is needed"),
        ("nan", "calibration batch 0: 'image' holds NaN"),
        ("infinity", "calibration batch 0: 'image' holds infinity"),
        ("once", "the calibration data can be read only once"),
        ("raises", "the calibration data raised OSError: disk gone; repair the code that makes it"),
        ("raises_at_once", "the calibration data raised OSError: no disk; repair the code that makes it"),
        ("leaves", "the calibration data raised SystemExit: 0; repair the code that makes it"),
        ("leaves_at_once", "the calibration data raised SystemExit: 1; repair the code that makes it"),
        ("no_batches", "the calibration data is an int; return an iterable of batches"),
        (
            "other_input",
            "the model cannot run on the first batch (picture float32 (4, 3, 16, 16), mask float32 (4, 2))",
        ),
    ],
)
def test_data_that_cannot_be_used(refused: Refused, name: str, words: str) -> None:
    later = name in ("later_shape", "raises", "leaves")  # the first batch is all that is read before the first step
    assert words in refused(calibration=f"bad_batches.py:{name}", planned=later)


def test_calibration_data_that_is_left_out(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compress", "nets.py:net", "--output", OUTPUT]) == 2
    assert "--calibration" in capsys.readouterr().err
    assert not Path(OUTPUT).exists()


def test_a_label_out_of_range(refused: Refused) -> None:
    line = refused("nets.py:net", "--evaluation", "bad_batches.py:far_label", planned=True)
    assert line == (
        "evaluation batch 1: label 10 is out of range; the model gives 10 classes; number them 0 to 9, and give -100"
        " for what does not count, or name it (training.ignore_index)"
    )


@pytest.mark.parametrize(
    ("target", "role", "name", "words"),
    [
        ("mobile", "evaluation", "grey", "evaluation batch 0 does not fit the model: "),
        ("mobile", "evaluation", "far_labels", "evaluation batch 0: label 1"),
        ("cloud", "evaluation", "grey", "evaluation batch 0 does not fit the model: "),
        ("cloud", "train", "grey", "train batch 0 does not fit the model: "),
    ],
)
def test_what_does_not_fit_is_found_before_anything_that_takes_long(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, target: str, role: str, name: str, words: str
) -> None:
    monkeypatch.setattr(conversion, "run_steps", None)
    assert refused("nets.py:net", "--target", target, f"--{role}", f"bad_batches.py:{name}").startswith(words)


def test_evaluation_data_of_another_size_than_calibration(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "run_steps", None)
    line = refused("nets.py:net", "--target", "cloud", "--evaluation", "bad_batches.py:smaller", planned=True)
    assert line.startswith("evaluation batch 0: 'image' is float32 (4, 3, 12, 16); the exported model takes float32")


@pytest.mark.parametrize("role", ["calibration", "evaluation"])
def test_a_later_batch_that_the_exported_model_does_not_take(refused: Refused, role: str) -> None:
    data = {"calibration": "bad_batches.py:good", role: "bad_batches.py:later_grey"}
    options = ["--target", "cloud", "--evaluation", data.get("evaluation", "bad_batches.py:images")]
    line = refused(
        "nets.py:net", *options, "--set", "pruning.multiple=4", calibration=data["calibration"], planned=True
    )
    assert line.startswith(
        f"{role} batch 4: 'image' is float32 (4, 1, 16, 16); the exported model takes float32 (batch"
    )


def test_npz_arrays_of_different_lengths(refused: Refused) -> None:
    np.savez("uneven.npz", image=np.zeros((4, 3, 16, 16), np.float32), labels=np.zeros(3, np.int64))
    assert "arrays need the same first dimension" in refused(calibration="uneven.npz")


def test_a_folder_without_pictures(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    assert "is empty; put pictures there" in refused(calibration=str(tmp_path / "pictures"))


def test_an_unknown_target(refused: Refused) -> None:
    assert "did you mean 'mobile'?" in refused("nets.py:net", "--target", "mobil")


def test_an_unknown_key(refused: Refused) -> None:
    line = refused("nets.py:net", "--set", "quantization.sheme=fbgemm")
    assert line == "unknown key 'quantization.sheme'; did you mean 'quantization.scheme'?"


def test_a_key_without_value(refused: Refused) -> None:
    assert "write KEY=VALUE" in refused("nets.py:net", "--set", "quantization.scheme")


def test_a_value_of_the_wrong_type(refused: Refused) -> None:
    line = refused("nets.py:net", "--set", "cpu.threads=many")
    assert line == "expected whole number, got 'many' in 'cpu.threads'"


def test_distillation_without_training_data(refused: Refused) -> None:
    line = refused("nets.py:net", "--target", "realtime")
    assert line == "distillation needs training data; give train (--train)"


def test_weights_of_no_teacher(refused: Refused) -> None:
    line = refused("nets.py:net", "--teacher-weights", "teacher.safetensors")
    assert line == "the teacher's weights 'teacher.safetensors' have no teacher; give --teacher file.py:callable too"


def test_a_teacher_that_is_no_module(refused: Refused) -> None:
    assert "'teacher.onnx'" in refused("nets.py:net", "--teacher", "teacher.onnx")


def test_a_student_without_epochs(refused: Refused) -> None:
    line = refused("nets.py:net", "--target", "realtime", "--set", "training.epochs=0")
    assert line == "'training.epochs' is 0, and a student learns nothing without any; give at least 1"
