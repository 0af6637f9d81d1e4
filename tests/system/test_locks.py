"""A file that one process at a time writes to."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgecompress.system.locks import owned

HOLD = "import sys, time\nfrom pathlib import Path\nfrom edgecompress.system.locks import owned\n" + (
    "with owned(Path(sys.argv[1]), wait=False):\n    print('here', flush=True)\n    time.sleep(60)\n"
)


def test_another_process_has_it_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "here\n"
        with pytest.raises(BlockingIOError), owned(path, wait=False):
            pass
        other.kill()
        with owned(path, wait=True) as file:
            file.write(b"mine")
    assert path.read_bytes() == b"mine"


def test_a_file_that_its_owner_renamed_is_not_the_one_that_was_waited_for(tmp_path: Path) -> None:
    path, done = tmp_path / "file", threading.Event()

    def wait_and_write() -> None:
        with owned(path, wait=True) as file:
            file.write(b"second")
        done.set()

    with owned(path, wait=False) as file:
        other = threading.Thread(target=wait_and_write)
        other.start()
        file.write(b"first")
        file.flush()
        assert not done.wait(0.1)
        path.rename(tmp_path / "renamed")
    other.join(timeout=10)
    assert done.is_set()
    assert (tmp_path / "renamed").read_bytes() == b"first"
    assert path.read_bytes() == b"second"


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"all my work")
    (tmp_path / "file").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic link"), owned(tmp_path / "file", wait=True):
        pass
