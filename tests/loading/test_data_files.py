"""Files of arrays are read by name or in their order; of others one line tells what to give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecompress.errors import DataError
from edgecompress.loading.data_files import FORMATS, read_file, refuse_other_data
from edgecompress.loading.sources import load_data

X, Y = np.arange(70.0, dtype=np.float32).reshape(35, 2), np.arange(35)


def test_an_array_of_its_own(project: Path) -> None:
    np.save("x.npy", X)
    batches = list(load_data("x.npy", "calibration")())
    assert [len(batch) for batch in batches] == [32, 3]
    assert (np.concatenate(batches) == X).all()
    assert batches[0].flags.writeable  # PyTorch warns of what is not


def test_arrays_without_names_are_inputs_and_labels(project: Path) -> None:
    np.savez("pair.npz", X, Y)
    (x, y), _ = read_file(Path("pair.npz"), {})
    assert (x == X[:32]).all()
    assert (y == Y[:32]).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "'x.npy' cannot be read as npy: it is damaged, no npy, or holds objects; write an array with numpy.save"),
        (np.array(3.0), "'x.npy' holds a single number; save one row for each sample"),
        (
            np.array([{"a": 1}], dtype=object),
            "'x.npy' cannot be read as npy: it is damaged, no npy, or holds objects; write an array with numpy.save",
        ),
    ],
)
def test_an_array_that_cannot_be_used(project: Path, content: object, words: str) -> None:
    if isinstance(content, bytes):
        Path("x.npy").write_bytes(content)
    else:
        np.save("x.npy", content)  # type: ignore[arg-type]
    with pytest.raises(DataError) as caught:
        list(load_data("x.npy", "calibration")())
    assert str(caught.value) == words


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_such_file_is_told_what_it_is_and_what_to_give(suffix: str) -> None:
    for name in (f"data{suffix}", f"some folder/DATA{suffix.upper()}"):
        with pytest.raises(DataError) as caught:
            load_data(name, "calibration")
        what, fix = FORMATS[suffix]
        assert str(caught.value) == f"calibration data {name!r} is {what}; {fix}"
        assert "give" in fix


def test_a_path_where_nothing_is(project: Path) -> None:
    for name in ("data/val", "val/"):
        with pytest.raises(DataError) as caught:
            refuse_other_data(name, "evaluation")
        assert str(caught.value) == (
            f"evaluation data {name!r} does not exist; check the path, or give file.py:callable"
        )


@pytest.mark.parametrize("name", ["batches.py:calibration", "package.data:calibration", "calibration", "a/b.py:data"])
def test_what_is_named_passes(name: str) -> None:
    refuse_other_data(name, "calibration")


@pytest.mark.parametrize("value", ["[1, 2]", "DataLoader([1, 2], batch_size=1)", "TensorDataset(torch.ones(3, 2))"])
def test_data_of_a_file_may_be_an_object_in_the_place_of_a_callable(project: Path, value: str) -> None:
    head = "import torch\nfrom torch.utils.data import DataLoader, TensorDataset\n"
    Path("objects.py").write_text(f"{head}DATA = {value}\n")
    assert len(list(load_data("objects.py:DATA", "calibration")())) == (3 if "ones" in value else 2)
