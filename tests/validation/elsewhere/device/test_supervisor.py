"""The supervisor of a device, without a connection: whatever ends it, its folder is gone."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edgecompress.timing import interleaving
from edgecompress.validation.elsewhere.device import program, supervisor
from edgecompress.validation.elsewhere.device.supervisor import ABANDONED_S, LOCK, MARK, PREFIX

SLEEP = ["-c", "open('begun', 'w'); import time; time.sleep(60)"]


def _request(room: Path, *arguments: list[str], files: Mapping[str, bytes] = {}, **other: Any) -> bytes:
    asked = {
        "python": sys.executable,
        "folder": str(room),
        "files": [[name, len(content)] for name, content in files.items()],
        "commands": [{"arguments": each, "needed": True} for each in arguments],
        "wanted": ["out"],
        "limit_s": 60.0,
        "patience_s": 60.0,
        **other,
    }
    head = json.dumps(asked).encode()
    return b"%d\n" % len(head) + head + b"".join(files.values())


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """Where the folders of requests are made."""
    folder = tmp_path / "a room"
    folder.mkdir()
    return folder


@pytest.fixture
def started() -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor that waits for its request."""
    process = subprocess.Popen(
        [sys.executable, supervisor.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        yield process
        process.kill()


def _send(process: subprocess.Popen[bytes], content: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(content)
    process.stdin.flush()


def _answer(process: subprocess.Popen[bytes]) -> tuple[dict[str, Any], bytes, dict[str, Any]]:
    assert process.stdout is not None
    assert process.stdout.readline() == MARK + b"\n"
    head = json.loads(process.stdout.read(int(process.stdout.readline())))
    content = process.stdout.read(sum(size for _, size in head["files"]))
    return head, content, json.loads(process.stdout.readline())


def _begun(room: Path) -> Path:
    """The folder of a request, once its command has begun."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for folder in room.iterdir():
            if (folder / "begun").exists():
                return folder
        time.sleep(0.02)
    raise AssertionError("it does not begin")


def _gone(room: Path) -> bool:
    until = time.monotonic() + 120
    while any(room.iterdir()) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(room.iterdir())


@pytest.mark.parametrize("module", [supervisor, program, interleaving], ids=lambda module: module.__name__)
def test_what_runs_there_is_python_3_8_and_imports_little(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text(), feature_version=(3, 8))
    imports = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    known = {"numpy", "numpy.typing", "onnxruntime", "edgecompress.timing.interleaving"}
    assert {str(name) for name in imports | names if name not in sys.stdlib_module_names} <= known | {"collections.abc"}


def test_files_go_in_and_come_back(room: Path, started: subprocess.Popen[bytes]) -> None:
    double = ["-c", "open('out', 'wb').write(2 * open('in', 'rb').read())"]
    _send(started, _request(room, double, files={"in": bytes(range(256)) * 1000}))
    head, content, last = _answer(started)
    assert (head, last) == ({"files": [["out", 512000]]}, {"left": None})
    assert content == 2 * (bytes(range(256)) * 1000)
    assert started.wait(120) == 0
    assert list(room.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "it was ended there by SIGSEGV"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "it was ended there by SIGKILL; it may have needed more memory than there is",
        ),
        ("import sys; sys.exit(3)", "it ended there with status 3"),
        ("import sys; sys.exit('first\\nthe last line')", "the last line"),
    ],
)
def test_a_command_that_fails_is_a_line(room: Path, started: subprocess.Popen[bytes], code: str, failure: str) -> None:
    _send(started, _request(room, ["-c", code], SLEEP))
    head, _, last = _answer(started)
    assert (head["failure"], last) == (failure, {"left": None})
    assert list(room.iterdir()) == []


def test_a_command_that_is_not_needed_may_fail(room: Path, started: subprocess.Popen[bytes]) -> None:
    command = {"arguments": ["-c", "raise SystemExit(1)"], "needed": False}
    _send(started, _request(room, commands=[command]))
    assert _answer(started)[0] == {"files": []}


def test_a_command_that_takes_too_long_is_ended(room: Path, started: subprocess.Popen[bytes]) -> None:
    _send(started, _request(room, SLEEP, limit_s=0.5))
    assert _answer(started)[0]["failure"] == "not done there after 0 s"
    assert list(room.iterdir()) == []


def test_a_program_that_cannot_start_is_a_line(room: Path, started: subprocess.Popen[bytes]) -> None:
    _send(started, _request(room, SLEEP, python=str(room / "none")))
    assert _answer(started)[0]["failure"] == f"{room}/none cannot be started there: No such file or directory"


@pytest.mark.parametrize(("base", "reason"), [("nowhere", "No such file or directory"), ("file", "Not a directory")])
def test_a_folder_that_takes_nothing_is_a_line(
    room: Path, started: subprocess.Popen[bytes], base: str, reason: str
) -> None:
    (room / "file").touch()
    _send(started, _request(room / base, SLEEP))
    told = f"folder {str(room / base)!r} there cannot be written: {reason}; set device.folder to another"
    assert _answer(started)[0]["failure"] == told


def test_where_the_connection_ends_the_folder_goes(room: Path, started: subprocess.Popen[bytes]) -> None:
    _send(started, _request(room, SLEEP))
    _begun(room)
    assert started.stdin is not None
    started.stdin.close()
    assert started.wait(120) == 1
    assert list(room.iterdir()) == []


def test_where_the_connection_ends_in_the_middle_of_a_file_the_folder_goes(
    room: Path, started: subprocess.Popen[bytes]
) -> None:
    _send(started, _request(room, SLEEP, files={"in": bytes(10**6)})[: 10**5])
    assert started.stdin is not None
    started.stdin.close()
    assert started.wait(120) == 1
    assert list(room.iterdir()) == []


def test_where_the_connection_falls_silent_the_folder_goes(room: Path, started: subprocess.Popen[bytes]) -> None:
    _send(started, _request(room, SLEEP, patience_s=4.0))
    _begun(room)
    for _ in range(6):
        time.sleep(1)
        _send(started, b"\n")
    assert started.poll() is None
    assert started.wait(120) == 1
    assert list(room.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=str)
def test_a_signal_ends_it_in_order(room: Path, started: subprocess.Popen[bytes], number: signal.Signals) -> None:
    _send(started, _request(room, SLEEP))
    _begun(room)
    started.send_signal(number)
    assert started.wait(120) == 1
    assert list(room.iterdir()) == []


def test_where_it_is_killed_the_program_removes_the_folder(room: Path, started: subprocess.Popen[bytes]) -> None:
    waiting = "from program import end_with_supervisor\nend_with_supervisor()\n" + SLEEP[1]
    own = Path(program.__file__).read_bytes()
    _send(started, _request(room, ["wait.py"], files={"program.py": own, "wait.py": waiting.encode()}))
    _begun(room)
    started.kill()
    assert _gone(room)


def test_what_is_left_of_others_is_removed_where_nobody_has_it(room: Path, started: subprocess.Popen[bytes]) -> None:
    for name in ("old", "held", "new", "stranger"):
        folder = room / (name if name == "stranger" else PREFIX + name)
        folder.mkdir()
        (folder / LOCK).touch()
        if name != "new":
            os.utime(folder, times=(0, time.time() - 2 * ABANDONED_S))
    (room / (PREFIX + "link")).symlink_to(room / "stranger")
    with (room / (PREFIX + "held") / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _send(started, _request(room, ["-c", ""]))
        assert _answer(started)[0] == {"files": []}
    assert sorted(path.name for path in room.iterdir()) == [
        PREFIX + "held",
        PREFIX + "link",
        PREFIX + "new",
        "stranger",
    ]
