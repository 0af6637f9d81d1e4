"""A program of ``torch.export.save`` is data: nothing that hides in it is executed."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import sympy
import torch

from edgecompress.errors import ModelError
from edgecompress.loading.programs import is_size, read_program
from tests.networks import ConvNet, images, seeded

Rewrite = Callable[[str, bytes], bytes]
CODE = "__import__('os').system('touch executed')"


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


def _bomb() -> bytes:
    file = io.BytesIO()
    torch.save(_Bomb(), file)
    return file.getvalue()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "net.pt2"
    batch = torch.export.Dim("batch")
    exported = torch.export.export(seeded(ConvNet), (images()[0][0],), dynamic_shapes=({0: batch},))
    torch.export.save(exported, path)
    return path


def _weight(name: str, content: bytes) -> bytes:
    if name.endswith("weights_config.json"):
        return content.replace(b'"use_pickle": false', b'"use_pickle": true')
    return _bomb() if "/weights/weight" in name else content


def _sample(name: str, content: bytes) -> bytes:
    return _bomb() if "sample_inputs" in name else content


def _size(name: str, content: bytes) -> bytes:
    return content.replace(b'"expr_str": "Symbol', f'"expr_str": "{CODE} or Symbol'.encode(), 1)


def _operator(name: str, content: bytes) -> bytes:
    return content.replace(b'"target": "torch.ops.aten.relu.default"', b'"target": "torch.os.system"', 1)


@pytest.mark.parametrize("rewrite", [_weight, _sample, _size, _operator])
def test_code_in_a_program_is_not_executed(
    program: Path, rewrite: Rewrite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    changed = False
    with zipfile.ZipFile(program) as old, zipfile.ZipFile("bad.pt2", "w") as new:
        for name in old.namelist():
            content = rewrite(name, old.read(name))
            changed |= content != old.read(name)
            new.writestr(name, content)
    assert changed
    with pytest.raises(ModelError) as caught:
        read_program(Path("bad.pt2"))
    assert str(caught.value) == (
        "'bad.pt2' holds code in place of tensors, sizes or operators, which was not executed; save it again with"
        " torch.export.save"
    )
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    "size", ["exec('x')", "exit ()", "Symbol('x').func", "Symbol('a b')", 'Symbol("x")', "(lambda: 1)()"]
)
def test_what_is_no_size_is_not_evaluated(size: str) -> None:
    assert not is_size(size)


def test_a_size_is_what_sympy_writes() -> None:
    x, y = sympy.symbols("s0 u1", positive=True, integer=True)
    for size in (x, x + 2 * y, sympy.floor(x / 3), sympy.Max(x, y**2), sympy.Eq(x, y), sympy.Float(2.5) * x):
        assert is_size(sympy.srepr(size).replace("'2.5'", "2.5"))


def test_a_program_is_read_and_pickle_is_as_before(program: Path) -> None:
    x = images()[0][0]
    torch.testing.assert_close(read_program(program).module()(x), seeded(ConvNet)(x))
    assert pickle.loads(pickle.dumps([1])) == [1]
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
