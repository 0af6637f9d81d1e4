"""From a model to a bundle, end to end."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import edgecompress
from edgecompress.errors import DataError
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.runtime import open_session, run_session
from tests.heard import Heard
from tests.networks import ConvNet, LinearStack, ResidualNet, TwoInputs, images, seeded, vectors

QUICK = ("export.simplify=false", "cpu.runs=10")


def _compress(model: Any, output: Path, **options: Any) -> edgecompress.Bundle:
    overrides = (*QUICK, *options.pop("overrides", ()))
    return edgecompress.compress(model, output=output, **{"overrides": overrides, "calibration": images(), **options})


def _run(bundle: edgecompress.Bundle, **inputs: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    return run_session(open_session(bundle.artifact, threads=1), inputs)


@pytest.mark.parametrize("scheme", ["fbgemm", "qnnpack"])
@pytest.mark.parametrize("kind", [ConvNet, ResidualNet])
def test_every_convolution_of_a_network_is_integer(kind: type[nn.Module], scheme: str, tmp_path: Path) -> None:
    bundle = _compress(
        seeded(kind),
        tmp_path / "bundle",
        overrides=[f"quantization.scheme={scheme}", "quantization.integer_entry=true"],
    )
    operators = [node.op_type for node in optimized_graph(ir.load(bundle.artifact))]
    convolutions = sum(isinstance(part, nn.Conv2d) for part in kind().modules())
    assert operators.count("QLinearConv") == convolutions
    assert operators.count("QLinearAdd") == (kind is ResidualNet)
    assert not {"Conv", "FusedConv", "Add"} & set(operators)


class Doubled(nn.Module):
    """Scores of a network, so many times over; its input has another name."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.network, self.times = seeded(ResidualNet), times

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.network(picture)] * self.times, dim=1)


TAUGHT: dict[str, Any] = {
    "target": "realtime",
    "calibration": None,
    "evaluation": images(seed=2),
    "train": images(rows=8, batches=3),
    "overrides": ("training.epochs=1", "budgets.min_speedup=none", "budgets.max_accuracy_drop=none"),
}


def test_a_teacher_may_name_its_input_otherwise(tmp_path: Path) -> None:
    student, teacher = seeded(ConvNet), Doubled(1)
    before = copy.deepcopy([each.state_dict() for each in (student, teacher)])
    bundle = _compress(student, tmp_path / "bundle", teacher=teacher, **TAUGHT)
    assert bundle.passed
    with torch.no_grad():
        right = sum(int((teacher(image).argmax(1) == labels).sum()) for image, labels in images(seed=2))
    total = sum(len(labels) for _, labels in images(seed=2))
    assert bundle.manifest.metrics["accuracy"]["original"] == pytest.approx(100 * right / total)
    for network, state in zip((student, teacher), before, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("teacher", "fault"),
    [
        (Doubled(2), r"the model gives \(1, 10\), its teacher \(1, 20\); give a teacher with the same outputs"),
        ("resnet", "model 'resnet' is neither a known file nor a callable"),
        (7, "the teacher is an int; give a torch.nn.Module"),
        (nn.Linear(7, 3), "the teacher cannot run on the first batch"),
    ],
)
def test_a_teacher_that_cannot_teach(teacher: Any, fault: str, tmp_path: Path) -> None:
    with pytest.raises(edgecompress.ModelError, match=fault):
        _compress(seeded(ConvNet), tmp_path / "bundle", teacher=teacher, **TAUGHT)
    assert not (tmp_path / "bundle").exists()


def test_a_student_cannot_be_its_own_teacher(tmp_path: Path) -> None:
    network = seeded(ConvNet)
    with pytest.raises(edgecompress.ModelError, match="teacher and student are the same module"):
        _compress(network, tmp_path / "bundle", teacher=network, **TAUGHT)


def test_without_a_latency_budget_a_student_is_refused_before_anything_runs(tmp_path: Path) -> None:
    unbound = {**TAUGHT, "overrides": (*TAUGHT["overrides"], "budgets.max_latency_p99_ms=none")}
    with pytest.raises(edgecompress.RecipeError, match="a student is derived to meet a latency budget"):
        _compress(seeded(ConvNet), tmp_path / "bundle", **unbound)


def test_numbers_are_learned_and_judged_by_agreement(tmp_path: Path) -> None:
    data = [(features, features.sum(1, keepdim=True).expand(-1, 10)) for features, _ in vectors(batches=3)]
    options = {**TAUGHT, "evaluation": data, "train": data}
    options["overrides"] = (*TAUGHT["overrides"], "training.task=regression", "training.patience=1")
    bundle = _compress(seeded(LinearStack), tmp_path / "bundle", teacher=copy.deepcopy(seeded(LinearStack)), **options)
    assert bundle.manifest.metrics["accuracy"]["compressed"] is None


def test_the_artifact_answers_like_the_model(tmp_path: Path) -> None:
    model = seeded(LinearStack)
    bundle = _compress(model, tmp_path / "bundle", calibration=vectors(batches=8))
    features = vectors(rows=64, batches=1, seed=5)[0][0]
    with torch.no_grad():
        wanted = model(features).numpy()
    (found,) = _run(bundle, features=features.numpy())
    noise = np.square(found - wanted).sum() / np.square(wanted).sum()
    assert noise < 1e-2  # 20 dB: three layers of 8-bit rounding, each of at least 30 dB, on data beyond the ranges


def test_the_model_is_not_modified(tmp_path: Path) -> None:
    model = seeded(ConvNet).train()
    before = copy.deepcopy(model.state_dict())
    _compress(model, tmp_path / "bundle")
    assert model.training
    assert all((before[name] == value).all() for name, value in model.state_dict().items())


def test_the_same_command_gives_the_same_bytes_and_so_does_its_recipe(tmp_path: Path) -> None:
    first, second = (_compress(seeded(ConvNet), tmp_path / name) for name in ("first", "second"))
    recipe = str(first.path / "recipe.toml")
    third = edgecompress.compress(seeded(ConvNet), target=recipe, calibration=images(), output=tmp_path / "third")
    for name in ("model.onnx", "recipe.toml", "model.ort", "required_operators.config"):
        content = (first.path / name).read_bytes()
        assert (second.path / name).read_bytes() == content
        assert (third.path / name).read_bytes() == content


def test_accuracy_is_that_of_the_artifact_s_own_outputs(tmp_path: Path) -> None:
    batches = images(rows=25, batches=4, seed=3)
    bundle = _compress(seeded(ConvNet), tmp_path / "bundle", evaluation=batches)
    right = sum((_run(bundle, image=x.numpy())[0].argmax(1) == y.numpy()).sum() for x, y in batches)
    assert bundle.manifest.metrics["accuracy"]["compressed"] == float(right)
    assert bundle.manifest.metrics["size_bytes"]["compressed"] == bundle.artifact.stat().st_size


def test_without_labels_accuracy_is_not_measured(tmp_path: Path) -> None:
    bundle = _compress(seeded(ConvNet), tmp_path / "bundle")
    assert bundle.manifest.metrics["accuracy"]["drop"] is None
    outcomes = {entry.budget: entry.outcome for entry in bundle.manifest.verdict.budgets}
    assert outcomes["max_accuracy_drop"] == "not measured"


@pytest.mark.parametrize("asked", [{"metric": "top1"}, {"overrides": [*QUICK, "evaluation.metric=top1"]}])
def test_a_metric_that_is_named_needs_labels_before_work_begins(asked: dict[str, Any], tmp_path: Path) -> None:
    data: dict[str, Any] = {"calibration": images(seed=1), "evaluation": [batch for batch, _ in images(seed=2)]}
    with pytest.raises(DataError) as caught:
        edgecompress.compress(seeded(ConvNet), **data, output=tmp_path / "made", **asked)
    assert str(caught.value) == (
        "the evaluation data has no labels, which accuracy needs; return (inputs, labels), or leave the metric out"
    )
    assert not (tmp_path / "made").exists()


def test_a_missed_budget_is_written_down_and_no_error(tmp_path: Path) -> None:
    bundle = _compress(seeded(ConvNet), tmp_path / "bundle", overrides=["budgets.min_compression_ratio=1000"])
    assert not bundle.passed
    assert edgecompress.read_bundle(bundle.path).manifest.verdict.outcome == "fail"


def _two_inputs(batches: int = 3) -> list[Any]:
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(6, 4, generator=generator), torch.randint(0, 20, (6,), generator=generator))
        for _ in range(batches)
    ]


@pytest.mark.parametrize("form", ["tuples", "dicts"])
def test_several_inputs_and_outputs(form: str, tmp_path: Path) -> None:
    batches = _two_inputs()
    given = batches if form == "tuples" else [{"features": a, "token": b} for a, b in batches]
    bundle = _compress(seeded(TwoInputs), tmp_path / "bundle", calibration=given)
    features, token = batches[0]
    session = onnxruntime.InferenceSession(bundle.artifact)
    axes = {each.name: each.shape for each in (*session.get_inputs(), *session.get_outputs())}
    assert axes == {"features": ["batch", 4], "token": ["batch"], "logits": ["batch", 10], "hidden": ["batch", 16]}
    with torch.no_grad():
        wanted = seeded(TwoInputs)(features, token)
    logits, hidden = _run(bundle, features=features.numpy(), token=token.numpy())
    np.testing.assert_allclose(logits, wanted["logits"].numpy(), atol=0.05)
    np.testing.assert_allclose(hidden, wanted["hidden"].numpy(), atol=0.05)


def test_a_fixed_batch_size(tmp_path: Path) -> None:
    bundle = _compress(
        seeded(ConvNet), tmp_path / "bundle", calibration=images(rows=2), overrides=["export.batch_size=2"]
    )
    assert onnxruntime.InferenceSession(bundle.artifact).get_inputs()[0].shape == [2, 3, 16, 16]


@pytest.mark.parametrize("form", ["onnx", "position", "keyword"])
def test_a_model_that_was_exported_already(form: str, tmp_path: Path) -> None:
    example, batch = torch.zeros(4, 3, 16, 16), torch.export.Dim("batch")
    model: Any
    if form == "onnx":
        float_bundle = _compress(seeded(ConvNet), tmp_path / "float", overrides=["quantization.enabled=false"])
        model = ir.load(float_bundle.artifact)
    elif form == "position":
        model = torch.export.export(seeded(ConvNet), (example,), dynamic_shapes=({0: batch},))
    else:
        shapes = {"image": {0: batch}}
        model = torch.export.export(seeded(ConvNet), (), {"image": example}, dynamic_shapes=shapes)
    bundle = _compress(model, tmp_path / "bundle")
    direct = _compress(seeded(ConvNet), tmp_path / "direct")
    x = images(rows=8, batches=1, seed=9)[0][0].numpy()
    np.testing.assert_allclose(_run(bundle, image=x)[0], _run(direct, image=x)[0], atol=0.02)


def test_a_target_without_techniques_gives_the_float_model(tmp_path: Path) -> None:
    bundle = _compress(seeded(ConvNet), tmp_path / "bundle", overrides=["quantization.enabled=false"])
    # Nothing but the order of float32 sums has changed, and float32 resolves 20 log10(2^24) = 144 dB.
    assert bundle.manifest.metrics["parity"]["compressed"]["sqnr_db"] > 120
    weights = sum(each.numel() * each.element_size() for each in seeded(ConvNet).parameters())
    size = bundle.manifest.metrics["size_bytes"]
    assert weights < size["compressed"] <= size["original"] < weights + 8000  # what is saved is names, no weights


class OneDict(nn.Module):
    """A user's class that takes a dict, so that a wrapper around it goes through the run."""

    def __init__(self) -> None:
        super().__init__()
        self.net = seeded(ConvNet)

    def forward(self, inputs: dict[str, Tensor]) -> Any:
        return self.net(inputs["image"]) * inputs["scale"]


def _dicts() -> list[dict[str, Tensor]]:
    return [{"image": image, "scale": torch.full((len(image), 1), 2.0)} for image, _ in images()]


def test_the_bundle_of_a_pruned_network_holds_the_network(tmp_path: Path) -> None:
    pruned = ("pruning.enabled=true", "pruning.multiple=1", "quantization.enabled=false")
    thinner = ("low_rank.enabled=true", "low_rank.goal=ratio", "low_rank.rank_ratio=0.4", "low_rank.multiple=1")
    options: Any = {"calibration": _dicts(), "overrides": (*pruned, *thinner)}
    bundle, same = (_compress(OneDict(), tmp_path / name, **options) for name in ("bundle", "same"))
    network = edgecompress.load_pruned(OneDict(), bundle.path / "model.safetensors").eval()
    assert isinstance(network, OneDict)
    inputs = _dicts()[0]
    with torch.no_grad():
        expected = network(inputs).numpy()
    given = {name: value.numpy() for name, value in inputs.items()}
    np.testing.assert_allclose(_run(bundle, **given)[0], expected, atol=1e-4)
    assert isinstance(network.net.get_submodule("features.0"), nn.Sequential)
    assert network.net.get_parameter("features.4.weight").shape == (8,)
    assert (bundle.path / "model.safetensors").read_bytes() == (same.path / "model.safetensors").read_bytes()


def test_the_bundle_of_a_network_that_no_technique_changed_holds_no_second_one(tmp_path: Path) -> None:
    bundle = _compress(seeded(ConvNet), tmp_path / "bundle")
    assert "model.safetensors" not in bundle.manifest.files


class Counting(ConvNet):
    def get_extra_state(self) -> Any:
        return 1

    def set_extra_state(self, state: Any) -> None:
        pass


def test_a_network_that_no_file_can_hold_is_left_out_with_a_warning(tmp_path: Path) -> None:
    told = Heard()
    overrides = ("quantization.enabled=false", "pruning.enabled=true", "pruning.multiple=1")
    bundle = _compress(Counting(), tmp_path / "bundle", overrides=overrides, progress=told)
    assert "model.safetensors" not in bundle.manifest.files
    assert [
        line for line in told.lines if line.startswith("the bundle holds no model.safetensors: '' keeps extra state")
    ]


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _compress(seeded(ConvNet), tmp_path / "bundle", overrides=["export.simplify=true"])
    assert capfd.readouterr() == ("", "")


def test_the_manifest_has_the_documented_keys(tmp_path: Path) -> None:
    bundle = _compress(seeded(ConvNet), tmp_path / "bundle", evaluation=images())
    manifest = json.loads((bundle.path / "manifest.json").read_bytes())
    assert manifest.keys() == {
        *("format_version", "edgecompress_version", "target", "recipe", "files", "data", "metrics", "verdict"),
        *("cpus", "image_input", "metadata", "mobile", "browser", "runtimes", "environment", "digest"),
    }
    assert manifest["metrics"].keys() == {"size_bytes", "latency_ms", "accuracy", "metric", "parity"}
    assert manifest["files"].keys() == {path.name for path in bundle.path.iterdir()} - {"manifest.json"}
    for measure in manifest["metrics"].values():
        assert {"original", "compressed"} < measure.keys()
        assert {"ratio", "drop"} & measure.keys()
