"""Whatever becomes of native code, this process goes on, and one line says what happened."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecompress.cli import main
from edgecompress.system.isolation import WatchedScript, load_fault, memory_limit, run_isolated
from tests.exporters.bundles import write_bundle

HEAD = '<ir_version: 10, opset_import: ["" : 20]> m (float[N] x) => '
HANGS = """(float[N] y) {
    y = Loop (forever, go, x) <body = b (int64 i, bool c, float[N] v) => (bool d, float[N] w)
        { d = Identity(c) w = Sin(v) }>
}"""
BOMB = "(float[M] y) { y = ConstantOfShape(shape) }"


def _model(path: Path, text: str, **constants: object) -> Path:
    model = onnx.parser.parse_model(HEAD + text)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.array(v), name) for name, v in constants.items())
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    return _model(tmp_path / "bomb.onnx", BOMB, shape=[2**42])


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("pass", None),
        ("import ctypes; ctypes.string_at(0)", "it was ended by signal 11 (SIGSEGV)"),
        ("import os; os.abort()", "it was ended by signal 6 (SIGABRT)"),
        ("import os; os.kill(os.getpid(), 40)", "it was ended by signal 40"),
        ("import os; os.kill(os.getpid(), 9)", "it was ended by signal 9 (SIGKILL), as where memory runs out"),
        ("import os; os.write(2, b'what():  std::bad_alloc'); os.abort()", "it needs more than 0.5 GiB of memory"),
        ("raise ValueError('no shape')", "it failed: ValueError: no shape"),
        ("import sys; sys.exit(3)", "it failed: no message"),
        ("blob = bytearray(2**36)", "it needs more than 0.5 GiB of memory"),
        ("import sys; assert sys.argv[1:] == ['one', 'two']", None),
        ("import os; os.write(2, bytes([255])); raise SystemExit(1)", "it failed: \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_each_end_has_its_reason(code: str, reason: str | None) -> None:
    assert run_isolated(code, ["one", "two"], memory_bytes=2**29) == reason


def test_a_child_that_hangs_is_ended() -> None:
    start = time.perf_counter()
    assert run_isolated("while True: pass", [], timeout_s=0.5) == "it took longer than 0.5 s"
    assert time.perf_counter() - start < 10


def test_a_model_that_takes_all_memory_or_all_time_is_found_out(contained: None, tmp_path: Path, bomb: Path) -> None:
    assert load_fault(bomb) == f"it needs more than {memory_limit() / 2**30:.1f} GiB of memory"
    hangs = _model(tmp_path / "hangs.onnx", HANGS, forever=2**62, go=True)
    assert load_fault(hangs, timeout_s=4) == "it took longer than 4 s"


@pytest.mark.parametrize("content", [b"", b"not an ONNX model", b"\x08\x0a" * 1000])
def test_a_file_that_is_merely_refused_survives(contained: None, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.onnx").write_bytes(content)
    assert load_fault(tmp_path / "file.onnx") is None


@pytest.mark.parametrize(
    "command", [["benchmark"], ["inspect"], ["compress", "--calibration", "batches.py:calibration"]]
)
def test_a_command_that_is_given_a_bomb_ends_in_one_line(
    contained: None, project: Path, bomb: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, str(bomb)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    fix = "export it again, or in other operators"
    found = re.fullmatch(rf"error: '(.*)' breaks ONNX Runtime: it needs more than .* GiB of memory; {fix}", line)
    assert found is not None
    assert found[1] == str(bomb)


def test_a_stranger_s_bundle_that_is_a_bomb_ends_in_one_line(
    contained: None, tmp_path: Path, bomb: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bundle(tmp_path / "bundle", {"model.onnx": bomb.read_bytes()})
    assert main(["validate", str(tmp_path / "bundle")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: 'model.onnx' of bundle {str(tmp_path / 'bundle')!r} breaks ONNX Runtime: it needs")


BEATS = """
import sys, time
from pathlib import Path
for _ in range(3):
    time.sleep(0.4)
    with Path(sys.argv[1]).open("ab") as file:
        file.write(b".")
"""


def _watched(folder: Path, code: str, timeout_s: float = 60.0) -> WatchedScript:
    (folder / "script.py").write_text(code)
    beats = folder / "beats"
    return WatchedScript(folder / "script.py", [str(beats)], beats=beats, pieces=3, timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("code", "beats", "fault"),
    [
        (BEATS, 3, None),
        (f"{BEATS}raise ValueError('no board')", 3, "it failed: ValueError: no board"),
        (f"{BEATS}import os; os.abort()", 3, "it was ended by signal 6 (SIGABRT)"),
        ("", 0, None),
        (f"{BEATS}time.sleep(60)", 3, "it took longer than 5 s"),
    ],
)
def test_a_watched_script_is_counted_until_it_ends(code: str, beats: int, fault: str | None, tmp_path: Path) -> None:
    watched = _watched(tmp_path, code, 5.0 if "60" in code else 60.0)
    assert list(watched) == [*range(beats)]
    assert watched.fault == fault


def test_a_script_that_is_watched_no_longer_is_ended(tmp_path: Path) -> None:
    code = f"{BEATS}time.sleep(2)\nPath(sys.argv[1]).with_name('end').touch()"
    watching = iter(_watched(tmp_path, code))
    assert next(watching) == 0
    watching.close()  # type: ignore[attr-defined]
    time.sleep(3)
    assert not (tmp_path / "end").exists()
