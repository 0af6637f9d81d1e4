"""The axis of the classes: one for a run, from whatever order of batches, or from what the user says."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from edgecompress import DataError, Distiller, RecipeError, compress
from edgecompress.axes.classes import settle_class_axis
from edgecompress.bundle.revalidation import revalidate
from edgecompress.cli.app import main
from edgecompress.data.batches import Batch, Batches, InputNames
from edgecompress.metrics.accuracy import Tally, class_axis, open_class_axes, top1
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Evaluation, parse_recipe
from edgecompress.training.evaluation import score
from edgecompress.training.losses import classification_loss, cross_entropy
from edgecompress.training.matching import distillation_loss
from tests.heard import Heard

CLASSES = 3
Labels = list[torch.Tensor]


def _batches(shapes: list[tuple[int, int]], axis: int) -> list[tuple[Tensor, Tensor]]:
    """Scores of a network that is always right, which are its inputs too, and their labels."""
    labels = [torch.arange(rows * length).reshape(rows, length) % CLASSES for rows, length in shapes]
    return [(nn.functional.one_hot(label, CLASSES).movedim(-1, axis).float() * 9, label) for label in labels]


def _opened(data: list[tuple[Tensor, Tensor]]) -> Batches:
    return Batches(role="evaluation", source=lambda: data, inputs=InputNames(names=("x",), required=1))


def _shape(batch: Batch) -> tuple[int, ...]:
    return batch.inputs["x"].shape


class Same(nn.Module):
    """Scores are what comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


lengths = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=1, max_size=5)


@given(lengths, st.sampled_from([1, -1]))
def test_all_batches_are_read_along_one_axis(shapes: list[tuple[int, int]], axis: int) -> None:
    """A network that is always right has 100 %, unless no batch of the run tells the axis, and it is not PyTorch's."""
    data, heard = _opened(_batches(shapes, axis)), Heard()
    found = settle_class_axis(_shape, [data], None, heard.warn)
    open_to_both = all(length == CLASSES for _, length in shapes)
    assert found == (1 if open_to_both else axis)
    assert bool(heard.lines) is open_to_both
    if found == axis:
        tallies = [top1(b.inputs["x"], b.labels, axis=found) for b in data if b.labels is not None]
        assert all(tally.percent == 100 for tally in tallies)


@given(lengths, st.sampled_from([1, -1]))
def test_what_the_user_says_is_taken_unread(shapes: list[tuple[int, int]], axis: int) -> None:
    def unread() -> Iterator[Any]:
        raise AssertionError
        yield

    data = Batches(role="evaluation", source=unread, inputs=InputNames(names=("x",), required=1))
    assert settle_class_axis(_shape, [data], axis, Heard().warn) == axis
    wanted = sum(rows * length for rows, length in shapes)
    tallies = [top1(x.numpy(), y.numpy(), axis=axis) for x, y in _batches(shapes, axis)]
    assert sum(tally.right for tally in tallies) == wanted


def test_the_axis_of_a_square_map_is_that_of_pytorch() -> None:
    labels = torch.arange(2 * 9).reshape(2, 3, 3) % CLASSES
    scores = nn.functional.one_hot(labels, CLASSES).movedim(-1, 1).numpy()
    assert open_class_axes(scores.shape, labels.shape) == (1, -1)
    assert top1(scores, labels.numpy()) == Tally(right=18, total=18, classes=CLASSES)
    assert top1(np.moveaxis(scores, 1, -1), labels.numpy(), axis=-1).right == 18


def test_of_batches_of_one_shape_the_first_is_run() -> None:
    ran: list[int] = []

    def shape(batch: Batch) -> tuple[int, ...]:
        ran.append(batch.rows)
        return _shape(batch)

    assert settle_class_axis(shape, [_opened(_batches([(2, 3)] * 9, 1))], None, Heard().warn) == 1
    assert ran == [2]


def test_a_batch_that_contradicts_the_run_is_refused() -> None:
    (first,), (second,) = _batches([(2, 4)], 1), _batches([(2, 5)], -1)
    data = _opened([first, second])
    axis = settle_class_axis(_shape, [data], None, Heard().warn)
    batch = list(data)[1]
    assert batch.labels is not None
    with pytest.raises(DataError, match=r"evaluation batch 1: labels of shape \(2, 5\) put the classes of .* axis 2"):
        top1(batch.inputs["x"], batch.labels, "evaluation batch 1", axis)


@pytest.mark.parametrize("axis", [0, 2, 5])
def test_an_axis_that_the_scores_lack_is_refused(axis: int) -> None:
    told = (
        f"class axis {axis} is none of outputs of shape (3, 4); give 1, or -1 for the last axis (evaluation.class_axis)"
    )
    with pytest.raises(DataError, match=re.escape(told)):
        top1(np.zeros((3, 4)), np.zeros(3, np.int64), axis=axis)


def test_the_loss_reads_the_axis_that_it_is_told() -> None:
    torch.manual_seed(0)
    labels = torch.randint(0, CLASSES, (2, CLASSES))
    scores, taught = torch.randn(2, CLASSES, CLASSES), torch.randn(2, CLASSES, CLASSES)
    flat = scores.reshape(-1, CLASSES), taught.reshape(-1, CLASSES)  # classes last
    wanted = nn.functional.cross_entropy(flat[0], labels.reshape(-1))
    torch.testing.assert_close(classification_loss(scores, labels, -1), wanted)
    soft = nn.functional.kl_div(
        flat[0].log_softmax(-1), flat[1].log_softmax(-1), log_target=True, reduction="batchmean"
    )
    found = distillation_loss(scores, taught, labels, 1.0, 0.25, -1)
    torch.testing.assert_close(found, 0.25 * soft + 0.75 * wanted)
    torch.testing.assert_close(distillation_loss(scores, taught, None, 1.0, 1.0, -1), soft)
    assert not torch.isclose(classification_loss(scores, labels), wanted)


@pytest.mark.parametrize("axis", ["1", True, 1.0, -2])
def test_a_distiller_refuses_a_class_axis_that_is_none(axis: Any) -> None:
    with pytest.raises(RecipeError) as caught:
        Distiller(Same(), Same(), class_axis=axis)
    assert str(caught.value) == f"class_axis is {axis!r}; give 1, or -1 for the last axis"


def test_a_distiller_takes_numpy_s_whole_numbers() -> None:
    assert Distiller(Same(), Same(), class_axis=np.int64(-1)).evaluate(_batches([(2, CLASSES)], -1)).accuracy == 100  # type: ignore[arg-type]


def test_a_distiller_reads_a_run_one_way_and_tells_what_is_open() -> None:
    mixed = _batches([(2, CLASSES), (2, 5)], -1)
    distiller = Distiller(Same(), Same())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert distiller.evaluate(mixed).accuracy == 100
        assert Distiller(Same(), Same(), class_axis=1).evaluate(_batches([(2, CLASSES)], 1)).accuracy == 100
        assert Distiller(Same(), Same(), class_axis=-1).evaluate(_batches([(2, CLASSES)], -1)).accuracy == 100
    square = _batches([(2, CLASSES)], 1)
    with pytest.warns(UserWarning, match="as many classes as places"):
        assert distiller.evaluate(square).accuracy == 100
    with pytest.warns(UserWarning, match="as many classes as places"):
        distiller.distillation_loss(*(square[0][0],) * 2, square[0][1])


def test_training_reads_a_run_one_way() -> None:
    """Scores (rows, length, classes): an ambiguous batch between others is learned as they are."""
    mixed = _batches([(4, CLASSES), (4, 5), (4, CLASSES)], -1)
    student = Same()
    nn.init.constant_(student.scale, 0.01)
    trained = Distiller(Same(), student, alpha=0.0).train_student(mixed, epochs=4, learning_rate=0.1, weight_decay=0.0)
    right = [cross_entropy(student(x).movedim(-1, 1), {}, y).item() for x, y in mixed]
    assert trained.history[-1].loss < 0.5
    assert max(right) < 0.5


def test_a_score_without_a_settled_axis_takes_axis_1() -> None:
    data = _opened(_batches([(2, CLASSES)], 1))
    assert score(Same(), data, cross_entropy, torch.device("cpu")).accuracy == 100


class Segmenter(nn.Module):
    """Classes of a position, from what one convolution sees there."""

    def __init__(self, last: bool) -> None:
        super().__init__()
        self.last = last
        self.conv = nn.Conv1d(CLASSES, CLASSES, 1, bias=False)
        nn.init.eye_(self.conv.weight.data[..., 0])

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.conv(x)
        return scores.transpose(1, 2) if self.last else scores


def _maps(axis: int, *lengths: int) -> list[tuple[Tensor, Tensor]]:
    return _batches([(4, length) for length in lengths], axis)


def _run(tmp_path: Path, last: bool, *overrides: str) -> tuple[Any, list[str]]:
    heard, data = Heard(), _maps(1, CLASSES)  # the network takes (rows, channels, length) either way
    bundle = compress(
        Segmenter(last),
        target="cloud",
        evaluation=data,
        output=tmp_path / "bundle",
        progress=heard,
        overrides=["pruning.enabled=false", "cpu.runs=10", *overrides],
    )
    return bundle, heard.lines


def test_a_run_records_the_axis_and_validates_along_it(tmp_path: Path) -> None:
    bundle, lines = _run(tmp_path, True, "evaluation.class_axis=-1")
    accuracy = bundle.manifest.metrics["accuracy"]
    assert (accuracy["compressed"], accuracy["class_axis"]) == (100, -1)
    assert not [line for line in lines if "classes as places" in line]
    np.savez(tmp_path / "data.npz", x=_maps(1, CLASSES)[0][0].numpy(), labels=_maps(1, CLASSES)[0][1].numpy())
    found = revalidate(
        bundle.path, {}, evaluation=str(tmp_path / "data.npz"), original=None, on=(), progress=Progress()
    )
    assert {row.measure: row.value for row in found.rows}["accuracy"] == 100


def test_a_run_in_which_both_axes_are_open_says_so(tmp_path: Path) -> None:
    bundle, lines = _run(tmp_path, False)
    assert bundle.manifest.metrics["accuracy"]["compressed"] == 100
    assert len([line for line in lines if "as many classes as places" in line and "evaluation.class_axis" in line]) == 1


@pytest.mark.parametrize("axis", ["7", "0", "-2", "2.5", "last"])
def test_an_axis_out_of_range_ends_in_one_line(tmp_path: Path, axis: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\nnet = lambda: nn.Linear(4, 3)\ndata = lambda: [torch.randn(8, 4)]\n"
    )
    place, output = f"{tmp_path / 'net.py'}", tmp_path / "out"
    given = ["--calibration", f"{place}:data", "--set", f"evaluation.class_axis={axis}"]
    status = main(["compress", f"{place}:net", *given, "--output", str(output)])
    lines = capsys.readouterr().err.strip().splitlines()
    told = [line for line in lines if not line.startswith("warning: ")]
    assert (status, len(told)) == (2, 1)
    assert "class" in told[0]
    assert "axis" in told[0]
    assert not output.exists()


def test_the_key_is_a_number_or_none() -> None:
    assert parse_recipe({"evaluation": {"class_axis": "none"}}).evaluation == Evaluation()
    assert parse_recipe({"evaluation": {"class_axis": -1}}).evaluation.class_axis == -1
    with pytest.raises(RecipeError, match=r"evaluation\.class_axis"):
        parse_recipe({"evaluation": {"class_axis": True}})


def test_a_batch_with_its_classes_along_another_axis_than_the_run_is_told() -> None:
    with pytest.raises(DataError) as caught:
        class_axis((8, 5, 10), (8, 10), "batch 3", axis=-1)
    assert str(caught.value) == (
        "batch 3: labels of shape (8, 10) put the classes of outputs of shape (8, 5, 10) along axis 1;"
        " those of the run lie along axis -1; give all batches alike"
    )
