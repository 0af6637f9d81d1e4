"""Two bundles of a network: a planted loss is found with its samples, and a bundle does not differ from itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

import edgecompress
from edgecompress.bundle.manifest import dump_manifest
from edgecompress.cli import main
from tests.drawn_folders import draw
from tests.networks import ConvNet, LinearStack, images, seeded, vectors

QUICK = (
    *("export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "quantization.placement=table"),
    *("quantization.fallback_evaluations=0", "quantization.observer=min_max"),
)


def _network() -> torch.nn.Module:
    """A network that gives all of its classes as answers."""
    network = seeded(ConvNet)
    assert isinstance(network, ConvNet)
    with torch.no_grad():
        scores = torch.cat([network(image) for image, _ in images(seed=5)])
        network.classifier.weight.div_(scores.std())
        network.classifier.bias.sub_(scores.mean(0)).div_(scores.std())
    return network


def _labelled(seed: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Pictures with what the float network answers."""
    network = _network()
    with torch.no_grad():
        return [(image, network(image).argmax(1)) for image, _ in images(seed=seed)]


def _made(folder: Path, scale: float = 1.0, **given: Any) -> Path:
    """A bundle whose calibration saw pictures of another contrast."""
    seen = [(scale * image, label) for image, label in images(seed=1)]
    arguments = {"calibration": seen, "evaluation": _labelled(2), "overrides": QUICK, **given}
    return edgecompress.compress(_network(), **arguments, output=folder).path


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that was calibrated as it is used."""
    return _made(tmp_path_factory.mktemp("old") / "old")


@pytest.fixture(scope="module")
def worse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network, calibrated on paler pictures, so that its ranges cut others off."""
    return _made(tmp_path_factory.mktemp("worse") / "worse", 0.3)


@pytest.fixture
def even_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call that is timed takes a millisecond."""
    ticks = iter(range(0, 10**15, 1_000_000))
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(ticks))


def _classes(bundle: Path) -> np.ndarray[Any, Any]:
    session = ort.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: image.numpy()})[0].argmax(1) for image, _ in _labelled(3)])


@pytest.mark.usefixtures("even_clock")
def test_a_planted_worse_calibration_is_a_regression_and_its_flips_are_listed(old: Path, worse: Path) -> None:
    found = edgecompress.diff(old, worse, evaluation=_labelled(3))
    before, after = _classes(old), _classes(worse)
    labels = np.concatenate([label.numpy() for _, label in _labelled(3)])
    flipped = np.flatnonzero(before != after)
    assert {answer.index for answer in found.answers.listed} == {*flipped.tolist()}
    assert found.answers.changed == len(flipped) > 0
    for answer in found.answers.listed:
        place = answer.index
        assert (answer.label, answer.old, answer.new) == (labels[place], before[place], after[place])
    assert found.answers.lost == int(((before == labels) & (before != after)).sum())
    drop = found.metric.drop
    assert drop is not None
    assert drop.loss == pytest.approx(100 * ((before == labels).mean() - (after == labels).mean()))
    outcomes = {check.budget: check.outcome for check in found.verdict.checks}
    assert outcomes == {"max_metric_loss": "fail", "max_size_growth": "pass", "max_slowdown": "pass"}
    assert not found.passed
    assert edgecompress.diff(worse, old, evaluation=_labelled(3)).passed
    assert edgecompress.diff(old, worse, evaluation=_labelled(3), max_metric_loss=100).passed


def test_a_bundle_does_not_differ_from_itself_20_times_of_20(old: Path) -> None:
    for _ in range(20):
        found = edgecompress.diff(old, edgecompress.read_bundle(old), evaluation=_labelled(3), max_metric_loss=0)
        assert found.passed
        assert found.same_file
        assert (found.answers.changed, found.answers.listed) == (0, ())
        assert found.metric.drop is not None
        assert found.latency.ratio is not None
        assert found.metric.drop.verdict == found.latency.ratio.verdict == "no difference"
        assert found.agreement.max_abs_error == 0


@pytest.mark.usefixtures("even_clock")
def test_without_data_the_self_test_is_answered_and_the_metric_is_as_recorded(old: Path, worse: Path) -> None:
    found = edgecompress.diff(old, worse)
    recorded = [edgecompress.read_bundle(each).manifest.metrics["accuracy"]["compressed"] for each in (old, worse)]
    assert found.metric.source == "recorded"
    assert found.metric.drop is not None
    assert [found.metric.drop.before, found.metric.drop.after] == recorded
    assert found.answered == "self-test"
    with np.load(worse / "selftest.npz") as pack:
        assert found.answers.samples == len(pack["output_0"])
    assert not edgecompress.diff(old, worse, max_metric_loss=recorded[0] - recorded[1] - 0.01).passed


@pytest.mark.usefixtures("even_clock")
def test_times_of_another_cpu_than_the_target_s_decide_only_where_a_limit_is_asked_for(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = _made(tmp_path / "new", scale=0.9, overrides=[*QUICK, "cpu.isa=armv8.0"])

    def outcome(**limits: Any) -> str | None:
        checks = edgecompress.diff(old, new, **limits).verdict.checks
        return next((check.outcome for check in checks if check.budget == "max_slowdown"), None)

    monkeypatch.setattr("edgecompress.targets.cpus.host_isa", lambda: "x86-vnni")
    assert [outcome(), outcome(max_slowdown=1), outcome(max_slowdown="none")] == ["not measured", "pass", None]
    monkeypatch.setattr("edgecompress.targets.cpus.host_isa", lambda: "armv8.0")
    assert outcome() == "pass"


def test_a_slowdown_that_nothing_bounds_is_not_timed(old: Path, worse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecompress.comparison.releases.time_here", lambda *_: pytest.fail("it was timed"))
    found = edgecompress.diff(old, worse, max_slowdown="none")
    assert (found.latency.old, found.latency.ratio) == (None, None)
    assert found.document()["latency_ms"]["value"] is None


@pytest.mark.usefixtures("even_clock")
def test_what_was_recorded_of_other_data_says_nothing(old: Path, tmp_path: Path) -> None:
    other = _made(tmp_path / "other", evaluation=_labelled(7))
    found = edgecompress.diff(old, other)
    assert (found.metric.drop, found.metric.source) == (None, "-")
    with pytest.raises(edgecompress.DataError) as caught:
        edgecompress.diff(old, other, max_metric_loss=1)
    told = "'max_metric_loss' was asked for, and the metric is not measured; give labelled --evaluation data"
    assert str(caught.value) == told.replace("--", "")


@pytest.mark.usefixtures("even_clock")
def test_answers_that_are_no_classes_are_ranked_by_the_metric(tmp_path: Path) -> None:
    network = seeded(LinearStack)
    with torch.no_grad():
        held = [(features, network(features)) for features, _ in vectors(seed=2)]
    made = {}
    for name, scale in (("old", 1.0), ("new", 0.05)):
        seen = [scale * features for features, _ in vectors(seed=1)]
        overrides = (*QUICK, "evaluation.metric=mae", "training.task=regression")
        bundle = edgecompress.compress(
            network, calibration=seen, evaluation=held, overrides=overrides, output=tmp_path / name
        )
        made[name] = bundle.path
    found = edgecompress.diff(made["old"], made["new"], evaluation=held)
    assert not found.answers.of_classes
    assert found.answers.samples == 64
    assert found.answers.lost > found.answers.won
    losses = [(answer.new or 0) - (answer.old or 0) for answer in found.answers.listed]
    assert losses == sorted(losses, reverse=True)
    assert not found.passed


def test_samples_of_a_folder_have_names(old: Path, worse: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for index in range(12):
        color = tuple(int(value) for value in generator.integers(0, 256, 3))
        draw(tmp_path / "pictures" / f"{index:02d}.png", (16, 16), color)  # type: ignore[arg-type]
    found = edgecompress.diff(old, worse, evaluation=tmp_path / "pictures")
    assert found.answers.samples == 12
    assert found.answers.listed
    assert all(answer.sample == f"{answer.index:02d}.png" for answer in found.answers.listed)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "below zero": ({"max_slowdown": -1}, "max_slowdown is -1; give at least 0"),
    "no number": ({"max_metric_loss": "much"}, "max_metric_loss is 'much'; give at least 0"),
    "not finite": ({"max_size_growth": float("inf")}, "max_size_growth is inf; give at least 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_limit_is_a_number(old: Path, name: str) -> None:
    given, told = BAD[name]
    with pytest.raises(edgecompress.RecipeError) as caught:
        edgecompress.diff(old, old, **given)
    assert str(caught.value) == told


def test_bundles_of_other_networks_are_refused(old: Path, tmp_path: Path) -> None:
    other = edgecompress.compress(
        seeded(LinearStack), calibration=vectors(seed=1), overrides=QUICK, output=tmp_path / "other"
    )
    with pytest.raises(edgecompress.OutputError) as caught:
        edgecompress.diff(old, other)
    assert str(caught.value) == (
        f"bundle {str(other.path)!r} takes 'features' of float, the old one 'image' of float; compare bundles of one"
        " network, with inputs of the same form"
    )


def test_a_changed_file_is_never_run(old: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(old, tmp_path / "changed")
    with (changed / "model.onnx").open("ab") as file:
        file.write(b"\0")
    for pair in ((old, changed), (changed, old)):
        with pytest.raises(edgecompress.OutputError, match=r"'model.onnx' was changed"):
            edgecompress.diff(*pair)


def test_code_that_a_bundle_names_is_not_run(old: Path, tmp_path: Path) -> None:
    strange = shutil.copytree(old, tmp_path / "strange")
    manifest = edgecompress.read_bundle(strange).manifest
    recipe = {**manifest.recipe, "evaluation": {"metric": "theirs.py:run"}}
    (strange / "manifest.json").write_bytes(dump_manifest(manifest.model_copy(update={"recipe": recipe})))
    with pytest.raises(edgecompress.RecipeError, match="code that its maker named; give metric"):
        edgecompress.diff(old, strange, evaluation=_labelled(3))
    assert edgecompress.diff(old, strange, evaluation=_labelled(3), metric="top1").passed


@pytest.mark.usefixtures("even_clock")
def test_the_command_prints_the_same_and_exits_by_the_verdict(
    old: Path, worse: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "from tests.comparison.test_releases import _labelled\ndef held(): return _labelled(3)\n"
    (project / "held.py").write_text(code)
    command = ["diff", str(old), str(worse), "--evaluation", "held.py:held"]
    assert main(command) == 1
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    assert any(line.startswith("max_metric_loss") and line.endswith("missed") for line in lines)
    assert any(line.startswith("sample  label  old  new  certainty") for line in lines)
    assert lines[-1] == f"budget missed: {worse}"
    assert main([*command, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["answers"]["changed"] == len(document["answers"]["listed"]) > 0
    assert main(["diff", str(old), str(old)]) == 0
    assert "both artifacts are the same file" in capsys.readouterr().out
    assert main(["diff", str(old), "nowhere"]) == 2
    assert capsys.readouterr().err == "error: bundle 'nowhere' does not exist; give a folder that compress wrote\n"
