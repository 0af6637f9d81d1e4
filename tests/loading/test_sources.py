"""DATA in every form that the documentation lists, and what is told of each that is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

from edgecompress.errors import DataError
from edgecompress.loading.sources import load_data, open_batches, open_source
from edgecompress.metrics.metric import named_measure
from edgecompress.metrics.running import Running
from edgecompress.recipe.samples import Images, Samples
from edgecompress.recipe.tables import Export, Recipe, Training


def _read(spec: str, settings: Images | None = None) -> list[Any]:
    return list(open_source(spec, "calibration", Recipe(images=settings or Images()))())


def test_data_from_npz(project: Path) -> None:
    x, labels = np.arange(70, dtype=np.float32).reshape(70, 1), np.arange(70)
    np.savez("data.npz", image=x, labels=labels)
    batches = _read("data.npz")
    assert [len(batch["labels"]) for batch in batches] == [32, 32, 6]
    assert (np.concatenate([batch["image"] for batch in batches]) == x).all()


def test_npz_of_states_is_cut_along_the_axis_that_the_recipe_names(project: Path) -> None:
    x, h = np.random.rand(40, 3), np.random.rand(2, 40, 5)
    np.savez("data.npz", x=x, h=h, rate=np.array(16000.0))
    with pytest.raises(DataError, match="name the axis that holds the samples"):
        _read("data.npz")
    batches = list(load_data("data.npz", "calibration", {"h": 1})())
    assert [batch["x"].shape[0] for batch in batches] == [batch["h"].shape[1] for batch in batches] == [32, 8]
    assert (np.concatenate([batch["h"] for batch in batches], 1) == h).all()
    assert all(batch["rate"] == 16000 for batch in batches)


def test_npz_with_objects_is_not_unpickled(project: Path) -> None:
    np.savez("objects.npz", image=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="cannot be read as npz"):
        _read("objects.npz")


@pytest.mark.parametrize("header", ["", "image,label\n"])
def test_data_from_a_folder_of_images(project: Path, header: str) -> None:
    folder = project / "pictures"
    folder.mkdir()
    red = np.zeros((10, 20, 3), np.uint8)
    red[..., 0] = 255
    for index in range(20):
        Image.fromarray(red).save(folder / f"{index}.png")
    (folder / "labels.csv").write_text(header + "".join(f"{index}.png,{index % 3}\n" for index in range(20)))
    settings = Images(size=(6, 8), mean=(0.5, 0.0, 0.25), std=(0.5, 1.0, 0.5))
    batches = _read("pictures", settings)
    assert [pixels.shape for pixels, _ in batches] == [(16, 3, 6, 8), (4, 3, 6, 8)]
    assert batches[0][0].dtype == np.float32
    # (1 - 0.5) / 0.5, (0 - 0) / 1, (0 - 0.25) / 0.5
    assert [float(batches[0][0][0, channel].mean()) for channel in range(3)] == [1.0, 0.0, -0.5]
    assert np.concatenate([labels for _, labels in batches]).tolist() == [index % 3 for index in range(20)]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("0.png,0\n1.png\n", "line 2 is '1.png'; write 'image,label' there"),
        ("0.png,0\n", "image '.*0.png' cannot be read"),
    ],
)
def test_a_folder_with_a_fault_names_it(project: Path, table: str, words: str) -> None:
    (project / "pictures").mkdir()
    (project / "pictures" / "0.png").write_bytes(b"no picture")
    (project / "pictures" / "labels.csv").write_text(table)
    with pytest.raises(DataError, match=words):
        _read("pictures")


def test_garbage_for_npz_is_told_in_our_words(project: Path) -> None:
    Path("garbage.npz").write_bytes(b"not an archive")
    with pytest.raises(DataError) as caught:
        _read("garbage.npz")
    assert str(caught.value) == (
        "'garbage.npz' cannot be read as npz: it is damaged, no npz, larger than memory, or holds objects;"
        " write arrays with numpy.savez"
    )


def test_labels_that_are_not_utf_8_name_their_file(project: Path) -> None:
    Path("pictures").mkdir()
    Path("pictures", "labels.csv").write_bytes("caf\u00e9.png,0\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"'pictures/labels\.csv' is not UTF-8 text"):
        _read("pictures")


@pytest.mark.parametrize("metric", ["top1", "top5", "f1", "miou", "dice"])
@pytest.mark.parametrize("ignored", [255, 2])
def test_a_label_that_is_ignored_counts_in_no_metric_of_classes(metric: str, ignored: int) -> None:
    generator = np.random.default_rng(0)
    scores, labels = generator.normal(size=(4, 7, 5)), generator.integers(0, 3, (4, 5))
    masks = labels.astype(np.uint8)
    masks[labels == 2] = ignored

    def value(targets: Any, ignore_index: int | None) -> float | None:
        recipe = Recipe(training=Training(ignore_index=ignore_index))
        data = open_batches([(scores, targets)], "evaluation", nn.ReLU(), recipe, named_measure(metric))
        running = Running(data.measure)
        for batch in data:
            running.update([scores], batch.labels, "batch")
        return running.value

    assert value(masks, ignored) == value(np.where(labels == 2, -100, labels), None)


def test_other_targets_are_told_to_the_loss_or_the_metric_as_they_are() -> None:
    recipe = Recipe(training=Training(ignore_index=255, loss="mine.py:loss"))
    masks = np.full((2, 3), 255, np.uint8)
    for role, measure in (("evaluation", named_measure("mae")), ("train", named_measure("top1"))):
        data = open_batches([(np.zeros((2, 3)), masks)], role, nn.ReLU(), recipe, measure)
        assert data.first().labels is masks


@pytest.mark.parametrize("labels", [np.zeros(2, bool), np.zeros(2), ["a", "b"], [{"boxes": 1}, {}]])
def test_a_loss_of_ones_own_is_given_targets_of_any_form(labels: Any) -> None:
    recipe = Recipe(training=Training(loss="mine.py:loss"))
    assert open_batches([(np.zeros((2, 3)), labels)], "train", nn.ReLU(), recipe).first().labels is labels


def test_a_network_of_so_many_samples_gets_them(project: Path) -> None:
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 3])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 3])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    network = ir.from_proto(onnx.helper.make_model(graph))
    data = TensorDataset(torch.ones(6, 3), torch.arange(6))
    for recipe, given, rows in (
        (Recipe(), network, 2),
        (Recipe(), None, 6),
        (Recipe(data=Samples(batch_size=4)), None, 4),
        (Recipe(export=Export(batch_size=3), data=Samples(batch_size=4)), None, 3),
    ):
        assert len(next(iter(open_source(data, "train", recipe, given)()))[0]) == rows
