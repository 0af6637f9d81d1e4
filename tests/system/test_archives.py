"""What an archive says that it holds is looked at before anything is read."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgecompress.system import archives
from edgecompress.system.archives import check_archive, read_npz


def _npz(path: Path, header: bytes, rows: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header + rows)
    return path


def _header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_wrote_is_read(tmp_path: Path, save: object) -> None:
    arrays = {"x": np.arange(6.0).reshape(2, 3).T, "labels": np.array([1, 2]), "names": np.array(["a", "b"])}
    assert callable(save)
    save(tmp_path / "a.npz", **arrays)
    read = read_npz(tmp_path / "a.npz")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros(2**20, np.uint8))
    assert (tmp_path / "bomb.npz").stat().st_size < 4096
    monkeypatch.setattr(archives, "memory_limit", lambda: 2**20)
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(ValueError, match=r"it unpacks to 0\.0 GiB"):
        check_archive(tmp_path / "bomb.npz")
    with pytest.raises(ValueError, match=r"it unpacks to 0\.0 GiB"):
        read_npz(tmp_path / "bomb.npz")


@pytest.mark.parametrize("shape", [(2**40,), (3,), (1,), (2**31, 2**31, 2**31), (-2,)])
def test_an_array_that_lies_about_its_size_is_refused_before_it_is_allocated(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="not as large as its header says"):
        read_npz(_npz(tmp_path / "a.npz", _header(shape), bytes(8)))


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([print], dtype=object))
    with pytest.raises(ValueError, match=r"not as large|allow_pickle"):
        read_npz(tmp_path / "a.npz")
