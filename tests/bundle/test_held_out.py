"""The drop of accuracy on any data is that of two files on the same data, or it is not measured."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.bundle.held_out import measure_quality
from edgecompress.bundle.measured_rows import HERE, NOWHERE, RECORDED, MeasuredRow
from edgecompress.bundle.reading import Bundle
from edgecompress.data.batches import Batches, InputNames
from edgecompress.errors import ModelError, OutputError
from edgecompress.metrics.metric import named_measure
from edgecompress.progress import Progress
from edgecompress.runtime import to_bytes
from tests.exporters.bundles import MADE
from tests.exporters.graphs import graph
from tests.heard import Heard

CLASSES = 4
TOP1 = named_measure("top1")
BLIND = 3
"""The class that the artifact never answers."""


def _scores(gain: list[float]) -> bytes:
    """A network whose score of a class is the value of the channel, times the gain of the class."""
    body = "p = GlobalAveragePool(x) f = Flatten(p) y = Mul(f, k)"
    return to_bytes(graph(body, k=np.array([gain], np.float32)))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The float model answers the brightest channel; the artifact does so too, except for one class."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "model.onnx").write_bytes(_scores([1.0, 1.0, 1.0, 0.0]))
    (folder / "float.onnx").write_bytes(_scores([1.0] * CLASSES))
    return folder


def _data(labels: list[int], wrong: int = 0) -> Batches:
    """Images whose brightest channel is the label; of the first ``wrong`` it is the next class but one."""
    shown = [(label + 2) % CLASSES if index < wrong else label for index, label in enumerate(labels)]
    images = np.zeros((len(labels), CLASSES, 8, 8), np.float32)
    images[range(len(labels)), shown] = 1.0
    pairs = [(images, np.array(labels))]
    return Batches(role="evaluation", source=lambda: pairs, inputs=InputNames(names=("x",), required=1))


def _digest(data: Batches) -> str:
    hasher = hashlib.sha256()
    for batch in data:
        batch.update(hasher)
    return hasher.hexdigest()


def _bundle(folder: Path, data: Batches, original: float = 99.0) -> Bundle:
    metrics: dict[str, Any] = {
        "accuracy": {"original": original, "compressed": 98.0, "drop": 1.0},
        "parity": {"compressed": {"sqnr_db": 30.0}},
    }
    manifest = MADE.model_copy(update={"metrics": metrics, "data": {"evaluation_digest": _digest(data)}})
    return Bundle(path=folder, manifest=manifest)


def _rows(
    bundle: Bundle, data: Batches | None, original: Path | None = None
) -> tuple[dict[str, MeasuredRow], list[str]]:
    heard = Heard()
    return {row.measure: row for row in measure_quality(bundle, TOP1, data, original, heard).rows}, heard.lines


labels = st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=12)
MADE_WITH = _data([0, 1, 2])


@given(labels, st.data())
def test_the_drop_on_other_data_is_that_of_both_files_on_them(files: Path, drawn: list[int], data: Any) -> None:
    """However hard or easy the set: what the float model sees and the artifact is blind to, and nothing else."""
    wrong = data.draw(st.integers(0, len(drawn)))
    rows, lines = _rows(_bundle(files, MADE_WITH), _data(drawn, wrong), files / "float.onnx")
    shown = [(label + 2) % CLASSES if index < wrong else label for index, label in enumerate(drawn)]
    answered = [0 if each == BLIND else each for each in shown]
    before, after = (
        100 * np.mean([answer == label for answer, label in zip(answers, drawn, strict=True)])
        for answers in (shown, answered)
    )
    assert rows["accuracy"].value == pytest.approx(after)
    assert rows["accuracy_drop"].value == pytest.approx(before - after)
    assert {row.source for row in rows.values()} == {HERE}
    assert all(line.startswith("'y[:, 3]' carries signal") for line in lines)  # the class that it is blind to


def test_the_drop_of_both_files_has_an_interval_and_one_against_the_record_has_none(files: Path) -> None:
    data = _data([0, 1, 2, BLIND] * 25)
    here = _rows(_bundle(files, MADE_WITH), data, files / "float.onnx")[0]["accuracy_drop"]
    assert here.drop is not None
    low, high = here.drop.interval_95 or (0.0, 0.0)
    assert 15 < low < 25 < high < 35
    assert here.text == f"-25.00 points ({-high:+.2f} to {-low:+.2f})"  # the change, as compress prints it
    assert here.title == "accuracy, change"
    assert here.entry["interval_95"] == [low, high]
    assert here.entry["verdict"] == "worse"
    assert here.interval is None  # the budget is held against the drop
    recorded = _rows(_bundle(files, data), data)[0]["accuracy_drop"]
    assert recorded.value is not None
    assert recorded.text == f"{-recorded.value:+.2f} points"
    assert "interval_95" not in recorded.entry


def test_a_recorded_interval_is_read_and_one_that_is_none_refused(files: Path) -> None:
    entry = {"name": "top1", "original": 99.0, "compressed": 98.0, "drop": 1.0, "drop_interval_95": [-0.5, 2.0]}
    bundle = _bundle(files, MADE_WITH)
    bundle.manifest.metrics["metric"] = entry
    row = _rows(bundle, None)[0]["accuracy_drop"]
    assert row.text == "no difference (-2.00 to +0.50)"
    assert (row.value, row.entry["verdict"]) == (1.0, "no difference")
    bundle.manifest.metrics["metric"] = {**entry, "drop_interval_95": ["[bold]", 1]}
    with pytest.raises(OutputError, match=r"'metrics\.metric\.drop_interval_95\.0' of its manifest is no number"):
        _rows(bundle, None)


def test_a_class_that_the_artifact_never_answers_is_named(files: Path) -> None:
    heard, other = Heard(), _data([0, 1, 2, *[BLIND] * 5])
    assert measure_quality(_bundle(files, MADE_WITH), TOP1, other, files / "float.onnx", heard).lost == ("y[:, 3]",)
    assert heard.lines == ["'y[:, 3]' carries signal in the float model and is zero or a constant in the artifact"]
    assert measure_quality(_bundle(files, MADE_WITH), TOP1, other, None, heard).lost == ()  # nothing to compare with
    recorded = {"accuracy": {"original": 99.0}, "parity": {"compressed": {"lost": ["y[:, 3]"]}}}
    bundle = Bundle(path=files, manifest=MADE.model_copy(update={"metrics": recorded}))
    assert measure_quality(bundle, TOP1, None, None, Progress()).lost == ("y[:, 3]",)


def test_without_the_original_a_drop_on_other_data_is_not_measured(files: Path) -> None:
    rows, lines = _rows(_bundle(files, MADE_WITH), _data([0, 1, BLIND, BLIND]))
    assert rows["accuracy"].value == 50
    assert (rows["accuracy_drop"].value, rows["accuracy_drop"].text) == (None, "not measured")
    assert rows["accuracy_drop"].source == NOWHERE
    assert (rows["sqnr_db"].value, rows["sqnr_db"].source) == (30.0, RECORDED)
    assert len(lines) == 1
    assert lines[0].startswith("these are other data than the bundle's, so that its record does not compare;")
    assert "--original" in lines[0]


def test_a_metric_that_is_nowhere_known_is_from_nowhere(files: Path) -> None:
    bundle = Bundle(path=files, manifest=MADE.model_copy(update={"metrics": {}}))
    rows, _ = _rows(bundle, None)
    assert [(rows[name].text, rows[name].source) for name in ("accuracy", "accuracy_drop")] == [
        ("not measured", NOWHERE)
    ] * 2


def test_on_the_data_of_the_record_its_accuracy_of_the_original_counts(files: Path) -> None:
    data = _data([0, 1, BLIND, BLIND])
    rows, lines = _rows(_bundle(files, data, original=75.0), data)
    assert (rows["accuracy"].value, rows["accuracy_drop"].value) == (50, 25)
    assert rows["accuracy_drop"].source == HERE
    assert not lines


def test_an_easy_set_hides_no_loss(files: Path) -> None:
    """99 % are on record; on a set where the float model has 100 %, the artifact's 75 % are a drop of 25."""
    rows, _ = _rows(_bundle(files, MADE_WITH), _data([0, 1, 2, BLIND]), files / "float.onnx")
    assert rows["accuracy_drop"].value == 25


def test_without_data_all_is_as_recorded(files: Path) -> None:
    rows, lines = _rows(_bundle(files, MADE_WITH), None, files / "float.onnx")
    assert [(row.value, row.source) for row in rows.values()] == [(98.0, RECORDED), (1.0, RECORDED), (30.0, RECORDED)]
    assert not lines


def test_without_labels_nothing_is_said_of_accuracy(files: Path) -> None:
    pairs = [np.ones((2, CLASSES, 8, 8), np.float32)]
    data = Batches(role="evaluation", source=lambda: pairs, inputs=InputNames(names=("x",), required=1))
    rows, lines = _rows(_bundle(files, MADE_WITH), data, files / "float.onnx")
    assert (rows["accuracy"].value, rows["accuracy_drop"].value) == (None, None)
    assert lines == ["the evaluation data has no labels; accuracy is not measured"]


@pytest.mark.parametrize(("known", "refused"), [(100.0, False), (99.5, False), (97.0, True), (50.0, True)])
def test_a_file_that_is_not_the_float_model_of_the_record_is_refused(files: Path, known: float, refused: bool) -> None:
    data = _data([0, 1, 2, 3] * 250)
    bundle = _bundle(files, data, original=known)
    if not refused:
        rows, _ = _rows(bundle, data, files / "float.onnx")
        assert rows["accuracy_drop"].value == pytest.approx(25.0)
        return
    told = (
        f"'{files / 'float.onnx'}' is not the float model of the bundle: accuracy is 100.00 % on these data, and"
        f" was {known:.2f} %; give the float model of the bundle as an ONNX file"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(told)}$"):
        _rows(bundle, data, files / "float.onnx")


def test_on_other_data_any_file_may_be_the_float_model(files: Path) -> None:
    rows, _ = _rows(_bundle(files, _data([0, 1]), original=50.0), _data([0, 1, 2, 3] * 250), files / "float.onnx")
    assert rows["accuracy"].value == pytest.approx(75.0)
