"""Whenever a run is killed or the disk is full, the output is the old, the new, or absent, and the next run works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgecompress.bundle.reading import read_bundle
from tests.exporters.bundles import write_bundle

# Killed: each line of the modules that write is a moment. Full: each call that needs room on the disk is one. The child
# counts them, and is struck at the one that is its turn.
MOMENTS = """
import errno, json, os, signal, sys
from pathlib import Path
from edgecompress.errors import OutputError
from edgecompress.system.durable import partial_of, write_whole
from edgecompress.bundle import draft
from edgecompress.bundle.reading import read_bundle
from tests.exporters.bundles import write_bundle

OLD, NEW = {"model.onnx": b"old"}, {"model.onnx": b"new", "report.html": b"<p>"}
os.fsync = lambda descriptor: None  # a process that dies takes nothing of the kernel's with it; only a machine does
WRITING = ("durable.py", "draft.py", "locks.py", "shutil.py")


def write(work, path):
    if work == "file":
        write_whole(path, b"new")
        return
    if work == "without exchange":
        draft.exchange = lambda first, second: False
    write_bundle(path, NEW, overwrite=True)


def killed(moment, work, path):
    left = moment

    def count(frame, event, argument):
        nonlocal left
        if os.path.basename(frame.f_code.co_filename) not in WRITING:
            return None
        left -= event == "line"
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return count

    sys.settrace(count)
    write(work, path)
    sys.settrace(None)


def starved(moment, work, path):
    left, fsync = moment, os.fsync

    def count(event, arguments):
        nonlocal left
        if event in ("os.mkdir", "os.rename", "fsync") or (event == "open" and arguments[2] & os.O_CREAT):
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    os.fsync = lambda descriptor: count("fsync", ())
    sys.addaudithook(count)
    try:
        write(work, path)
    except OutputError as error:
        assert "No space left on device; choose another" in str(error)
        os._exit(2)


def state(work, path):
    if not path.exists():
        return "absent"
    content = path.read_bytes() if work == "file" else read_bundle(path).artifact.read_bytes()
    return content.decode()


def moments(strike, step, work, with_old, folder):
    for moment in range(0, 1000, step):
        path = folder / str(moment) / "out"
        path.parent.mkdir()
        if with_old and work == "file":
            write_whole(path, b"old")
        elif with_old:
            write_bundle(path, OLD)
        child = os.fork()
        if child == 0:
            strike(moment, work, path)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        found = state(work, path)
        assert strike is killed or [entry.name for entry in path.parent.iterdir()] == ["out"] * (found != "absent")
        write(work, path)
        assert state(work, path) == "new", moment
        assert [entry.name for entry in path.parent.iterdir()] == ["out"], (moment, list(path.parent.iterdir()))
        yield found
        if status == 0:
            return
        assert status == (-signal.SIGKILL if strike is killed else 2), (moment, status)
    raise AssertionError("it never ended")


strike, step, work, before, folder = sys.argv[1:]
print(json.dumps(list(moments(globals()[strike], int(step), work, before == "old", Path(folder)))))
"""


SMALL_FILES = """
import resource, sys
from pathlib import Path
from edgecompress.errors import OutputError
from edgecompress.bundle.reading import read_bundle
from tests.exporters.bundles import write_bundle

output, full = Path(sys.argv[1]), 0
for limit in range(0, 1200, 40):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_bundle(output, {"model.onnx": b"1" * 200, "report.html": b"2" * 300}, overwrite=True)
    except OutputError as error:
        assert "File too large; choose another --output" in str(error)
        assert read_bundle(output).artifact.read_bytes() == b"onnx"
        full += 1
assert 10 < full < 30, full
"""


def _states(strike: str, step: int, work: str, before: str, folder: Path) -> list[str]:
    """What each moment left: the last one came too late to strike."""
    command = [sys.executable, "-c", MOMENTS, strike, str(step), work, before, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    assert found[-1] == "new"
    assert found == sorted(found, key=["old", "absent", "new"].index)
    return found


@pytest.mark.parametrize(
    ("step", "work", "before", "states"),
    [
        (3, "bundle", "old", {"old", "new"}),
        (3, "bundle", "none", {"absent", "new"}),
        (2, "without exchange", "old", {"old", "absent", "new"}),
        (1, "file", "old", {"old", "new"}),
        (1, "file", "none", {"absent", "new"}),
    ],
)
def test_killed_at_any_line_of_what_writes(tmp_path: Path, step: int, work: str, before: str, states: set[str]) -> None:
    found = _states("killed", step, work, before, tmp_path)
    assert set(found) == states
    assert len(found) > 30
    # Without a call that exchanges two names, the output is away for some lines; the next run puts it back.
    assert found.count("absent") < 5 or before == "none"


@pytest.mark.parametrize("work", ["bundle", "file"])
@pytest.mark.parametrize("before", ["old", "none"])
def test_a_disk_that_is_full_at_any_call_of_what_writes(tmp_path: Path, work: str, before: str) -> None:
    found = _states("starved", 1, work, before, tmp_path)
    assert set(found) == {"old" if before == "old" else "absent", "new"}
    assert len(found) > 4


def test_without_room_for_a_file_the_old_bundle_stays(tmp_path: Path) -> None:
    write_bundle(tmp_path / "out")
    command = [sys.executable, "-c", SMALL_FILES, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert read_bundle(tmp_path / "out").artifact.read_bytes() == b"1" * 200
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
