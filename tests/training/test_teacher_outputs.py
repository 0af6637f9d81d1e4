"""Teacher outputs on disk: each sample's are computed once, come back in order, and survive kills and company."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from edgecompress.errors import ModelError, OutputError, RecipeError
from edgecompress.training.teacher_outputs import TeacherOutputs
from tests.conftest import ROOT
from tests.networks import ConvNet, TwoInputs, images, seeded
from tests.training.batches import stack

VECTORS = torch.randn(12, 32, generator=torch.Generator().manual_seed(0))


class Counting(nn.Module):
    """A teacher that notes how many rows it was asked for."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.asked: list[int] = []

    def forward(self, **inputs: Tensor) -> Any:
        self.asked.append(len(next(iter(inputs.values()))))
        return self.inner(**inputs)


def _ask(outputs: TeacherOutputs, **inputs: Tensor) -> Any:
    with torch.no_grad():
        return outputs.ask(inputs)


class Scaled(nn.Module):
    """Has its factor in its code alone, and not in what its file is named after."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.layers, self.factor = stack(), factor

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layers(features) * self.factor  # type: ignore[no-any-return]


def test_the_outputs_of_a_teacher_that_changed_since_are_refused(tmp_path: Path) -> None:
    _ask(TeacherOutputs(tmp_path, Scaled(1.0)), features=VECTORS)
    again = TeacherOutputs(tmp_path, Scaled(1.0))
    _ask(again, features=VECTORS)
    assert again.misses == 0
    with pytest.raises(OutputError, match=r"^'.*' holds the outputs of another teacher; delete it$"):
        _ask(TeacherOutputs(tmp_path, Scaled(5.0)), features=VECTORS)


def test_every_sample_is_computed_once_and_comes_back_in_order(tmp_path: Path) -> None:
    teacher = Counting(stack())
    kept = TeacherOutputs(tmp_path / "new" / "folder", teacher)
    whole = stack()(VECTORS)
    assert torch.equal(_ask(kept, features=VECTORS[:8]), stack()(VECTORS[:8]))
    order = torch.tensor([11, 3, 9, 3, 0, 11])
    torch.testing.assert_close(_ask(kept, features=VECTORS[order]), whole[order])
    assert teacher.asked == [8, 2]
    assert (kept.hits, kept.misses) == (4, 10)
    again = TeacherOutputs(tmp_path / "new" / "folder", Counting(stack()))
    torch.testing.assert_close(_ask(again, features=VECTORS[:8].flip(0)), whole[:8].flip(0))
    assert (again.hits, again.misses) == (8, 0)


@given(st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=6), max_size=6))
def test_any_order_and_repetition_gives_what_the_teacher_says(orders: list[list[int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = TeacherOutputs(Path(folder), nn.Identity())
        for order in orders:
            assert torch.equal(kept.ask({"input": VECTORS[order]}), VECTORS[order])
        assert kept.misses == len({index for order in orders for index in order})
        assert kept.hits == sum(map(len, orders)) - kept.misses


def test_the_layout_in_memory_makes_no_other_sample_and_a_changed_pixel_does(tmp_path: Path) -> None:
    kept, image = TeacherOutputs(tmp_path, seeded(ConvNet)), images()[0][0]
    _ask(kept, image=image)
    _ask(kept, image=image.contiguous(memory_format=torch.channels_last))
    assert (kept.hits, kept.misses) == (16, 16)
    changed = image.clone()
    changed[3, 0, 0, 0] += 1
    _ask(kept, image=changed)
    assert (kept.hits, kept.misses) == (31, 17)


class Total(nn.Module):
    def forward(self, **inputs: Tensor) -> Tensor:
        return sum(value.float().flatten(1).sum(1) for value in inputs.values())  # type: ignore[return-value]


def test_the_precision_of_the_teacher_counts(tmp_path: Path) -> None:
    kept = TeacherOutputs(tmp_path, Total())
    for enabled in (False, True, True):
        with torch.autocast("cpu", enabled=enabled):
            _ask(kept, x=torch.ones(1, 4))
    assert (kept.hits, kept.misses) == (1, 2)


def test_an_input_without_the_batch_counts_for_every_sample(tmp_path: Path) -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor, scale: Tensor) -> Tensor:
            return x * scale.sum()

    kept, x = TeacherOutputs(tmp_path, Scaled()), torch.arange(6.0).reshape(3, 2)
    for scale, rows in ((torch.ones(7), 3), (torch.ones(7), 2), (2 * torch.ones(7), 3)):
        assert torch.equal(_ask(kept, x=x[:rows], scale=scale), x[:rows] * scale.sum())
    assert (kept.hits, kept.misses) == (2, 6)


def test_structures_of_tensors_come_back_as_they_are(tmp_path: Path) -> None:
    teacher, x, token = seeded(TwoInputs), torch.rand(4, 4), torch.arange(4)
    for _ in range(2):
        found = _ask(TeacherOutputs(tmp_path, teacher), features=x, token=token)
        wanted = teacher(x, token)
        assert list(found) == ["logits", "hidden"]
        for name, value in wanted.items():
            assert torch.equal(found[name], value)


class Odd(nn.Module):
    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Any:
        return self.answer(x)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (lambda x: x.mean(), RecipeError, "are not all tensors with the batch first; leave cache out"),
        (lambda x: {"scores": x, "name": "me"}, RecipeError, "are not all tensors with the batch first"),
        (lambda x: (), RecipeError, "are not all tensors with the batch first"),
        (lambda x: x[:, : len(x)], RecipeError, "differ in shape from sample to sample; leave cache out"),
        (lambda x: x @ x, ModelError, "the teacher: the network fails: RuntimeError"),
    ],
)
def test_outputs_that_cannot_be_kept_are_refused(
    answer: Any, kind: type[Exception], words: str, tmp_path: Path
) -> None:
    kept = TeacherOutputs(tmp_path, Odd(answer))
    with pytest.raises(kind, match=words):
        [kept.ask({"x": torch.rand(rows, 5)}) for rows in (2, 3)]


def test_another_teacher_has_another_file(tmp_path: Path) -> None:
    teachers = [stack(), stack(seed=1), nn.Sequential(nn.ReLU()), nn.Sequential(nn.GELU())]
    paths = {TeacherOutputs(tmp_path, teacher).path for teacher in teachers}
    assert len(paths) == 4
    assert TeacherOutputs(tmp_path, stack()).path in paths


def _text(path: Path) -> None:
    path.write_text("not a database, and long enough to be read as the head of one" * 9)


def _foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE outputs (name TEXT)")
    connection.close()


def _spoilt(path: Path) -> None:
    kept = TeacherOutputs(path.parent, stack())
    _ask(kept, features=VECTORS)
    del kept
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * len(content[4096:])
    path.write_bytes(content)


def _cut(path: Path) -> None:
    _ask(TeacherOutputs(path.parent, stack()), features=VECTORS)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE outputs SET value = x'00'")
    connection.commit()
    connection.close()


def _formless(path: Path) -> None:
    _ask(TeacherOutputs(path.parent, stack()), features=VECTORS)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE form SET text = '[]'")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("spoil", [_text, _foreign, _spoilt, _cut, _formless])
def test_a_spoilt_or_foreign_file_is_one_line(spoil: Any, tmp_path: Path) -> None:
    spoil(tmp_path / TeacherOutputs(tmp_path / "named", stack()).path.name)
    with pytest.raises(OutputError, match=r"is no file of teacher outputs of this version; delete it, or") as caught:
        _ask(TeacherOutputs(tmp_path, stack()), features=VECTORS)
    assert len(str(caught.value).splitlines()) == 1


def test_a_foreign_file_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / TeacherOutputs(tmp_path / "named", stack()).path.name
    _foreign(path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="is no file of teacher outputs"):
        TeacherOutputs(tmp_path, stack())
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"cache folder .* cannot be made: .*; choose another one"):
        TeacherOutputs(tmp_path / "file", stack())


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    name = TeacherOutputs(tmp_path / "named", stack()).path.name
    (tmp_path / name).mkdir()
    with pytest.raises(
        OutputError, match=r"^teacher outputs '.*' cannot be read or written: .*; choose another cache folder$"
    ):
        TeacherOutputs(tmp_path, stack())


KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
import torch
from edgecompress.training.teacher_outputs import TeacherOutputs
from tests.training.batches import stack

kept = TeacherOutputs(Path(sys.argv[1]), stack())
with torch.no_grad():
    kept.ask({"features": torch.randn(12, 32, generator=torch.Generator().manual_seed(0))[:5]})
connection = sqlite3.connect(kept.path, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("INSERT INTO outputs VALUES (x'00', x'00')")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_kept_before_a_kill_stays_and_nothing_half(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=_environment(), check=False)
    assert done.returncode == -signal.SIGKILL
    kept = TeacherOutputs(tmp_path, stack())
    torch.testing.assert_close(_ask(kept, features=VECTORS), stack()(VECTORS))
    assert (kept.hits, kept.misses) == (5, 7)
    with sqlite3.connect(kept.path) as connection:
        assert connection.execute("SELECT count(*) FROM outputs").fetchone() == (12,)
    connection.close()


SHARING = """
import sys
from pathlib import Path
import torch
from edgecompress.training.teacher_outputs import TeacherOutputs

print("ready", flush=True)
for folder in sys.stdin:
    kept = TeacherOutputs(Path(folder.strip()), torch.nn.Identity())
    for start in range(10):
        rows = torch.arange(start, start + 4.0)[:, None]
        assert torch.equal(kept.ask({"input": rows}), rows)
    print("done", flush=True)
"""


def test_processes_share_a_file_from_its_first_moment(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SHARING]
    pipes: Any = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    with ExitStack() as running:
        started: list[Any] = [
            running.enter_context(subprocess.Popen(command, env=_environment(), text=True, **pipes)) for _ in range(3)
        ]
        assert [process.stdout.readline() for process in started] == ["ready\n"] * 3
        for turn in range(100):
            for process in started:
                process.stdin.write(f"{tmp_path / str(turn)}\n")
                process.stdin.flush()
            assert [process.stdout.readline() for process in started] == ["done\n"] * 3
            kept = TeacherOutputs(tmp_path / str(turn), nn.Identity())
            kept.ask({"input": torch.arange(13.0)[:, None]})
            assert (kept.hits, kept.misses) == (13, 0)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
