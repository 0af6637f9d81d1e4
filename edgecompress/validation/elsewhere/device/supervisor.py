"""What a device runs first: it takes files in, runs commands on them in a folder of its own, and sends files back.

It needs Python 3.8 and nothing else, and comes along with the command that starts it.

Standard input is a number of bytes in a line, a JSON document of so many, the bytes of the files that it lists, and
then a byte now and then as long as somebody waits. Standard output is the line ``MARK``, another such document and the
bytes of the files that it lists, and a line that says what could not be removed. Whoever reads finds ``MARK`` behind
whatever a login shell prints.

The folder is removed in the end: after the answer, after a failure, at a signal, and where standard input ends or falls
silent, which means that the connection is lost. A supervisor that is killed cannot: then the command that it started
removes the folder. What is left where both are killed, the next supervisor removes.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import stat
import subprocess  # of what the user asked for, on the user's own device  # nosec B404
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

MARK = b"edgecompress answers"
PREFIX, LOCK = "edgecompress-device-", "lock"
ABANDONED_S = 60.0
"""Age of a folder that nobody has locked, beyond which it is nobody's."""
POLL_S, ENDING_S = 0.05, 5.0
CHUNK = 2**16
ROOM = 2**20
"""Bytes; where they cannot be written, that is what a command failed at."""
LINES, TAIL = 100, 2000
"""What a command says on standard error that is kept: lines, and characters of the last one."""
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class GivenUpError(Exception):
    """There will be no answer, for a reason that is told."""


class LostError(Exception):
    """Nobody waits for an answer any more."""


class Source:
    """Standard input, which is lost where it ends or is silent for too long."""

    def __init__(self, patience_s: float) -> None:
        self.patience_s, self.lost = patience_s, threading.Event()

    def read(self, count: int) -> bytes:
        """At most ``count`` bytes, and at least one."""
        ready, _, _ = select.select([0], [], [], self.patience_s)
        found = os.read(0, min(count, CHUNK)) if ready else b""
        if not found:
            raise LostError
        return found

    def line(self) -> bytes:
        """Bytes up to the end of a line."""
        found = b""
        while not found.endswith(b"\n"):
            found += self.read(1)
        return found

    def whole(self, count: int) -> bytes:
        """So many bytes."""
        found = bytearray()
        while len(found) < count:
            found += self.read(count - len(found))
        return bytes(found)

    def watch(self) -> None:
        """Read on, in a thread, until the connection is lost."""
        with suppress(LostError, OSError):
            while True:
                self.read(CHUNK)
        self.lost.set()


def make_folder(base: Path) -> Path:
    """A new folder only for this run; those that nobody has any more are removed."""
    for found in base.glob(PREFIX + "*"):
        remove_abandoned(found)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=str(base)))
    lock_of(folder)  # until this process ends
    return folder


def remove_abandoned(folder: Path) -> None:
    """Remove a folder of ours whose supervisor is gone."""
    with suppress(OSError):  # somebody has it, or removes it
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or time.time() - found.st_mtime < ABANDONED_S:
            return
        lock = lock_of(folder)
        shutil.rmtree(str(folder), ignore_errors=True)
        os.close(lock)


def lock_of(folder: Path) -> int:
    """The lock of a folder, taken."""
    lock = os.open(str(folder / LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def receive(source: Source, folder: Path, files: list[list[Any]]) -> None:
    """Write the files that come in."""
    for name, size in files:
        left = size
        with (folder / name).open("wb") as file:
            while left:
                part = source.read(left)
                file.write(part)
                left -= len(part)


def run(source: Source, folder: Path, python: str, command: dict[str, Any], limit_s: float) -> None:
    """Run Python in the folder until it is done, the time is up, or nobody waits any more."""
    environment = dict(os.environ, TMPDIR=str(folder), ORT_DISABLE_TELEMETRY="1")
    try:
        child = subprocess.Popen(  # no shell  # nosec B603
            [python, "-B", *command["arguments"]],
            cwd=str(folder),
            env=environment,
            stdin=subprocess.PIPE,  # it ends where this process does
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise GivenUpError(f"{python} cannot be started there: {error.strerror}") from None
    said: list[bytes] = []
    reader = threading.Thread(target=listen, args=(child.stderr, said), daemon=True)
    reader.start()
    try:
        wait(source, child, limit_s)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        reader.join(ENDING_S)
    if child.returncode and command["needed"]:
        (folder / "room").write_bytes(bytes(ROOM))
        raise GivenUpError(reason(child.returncode, b"".join(said)))


def wait(source: Source, child: Any, limit_s: float) -> None:
    """Wait for a command."""
    until = time.monotonic() + limit_s
    while child.poll() is None:
        if source.lost.is_set():
            raise LostError
        if time.monotonic() > until:
            raise GivenUpError(f"not done there after {limit_s:.0f} s")
        time.sleep(POLL_S)


def listen(stream: Any, said: list[bytes]) -> None:
    """Keep the last of what a command says."""
    for line in stream:
        said.append(line)
        del said[:-LINES]


def reason(status: int, said: bytes) -> str:
    """Why a command failed, in one line."""
    if status < 0:
        name = next((each.name for each in signal.Signals if each == -status), f"signal {-status}")
        more = "; it may have needed more memory than there is" if name == "SIGKILL" else ""
        return f"it was ended there by {name}{more}"
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][-TAIL:] if lines else f"it ended there with status {status}"


def send(document: dict[str, Any], folder: Path | None) -> None:
    """Send an answer, and the files that it lists."""
    text = json.dumps(document).encode()
    write(MARK + b"\n%d\n" % len(text) + text)
    for name, _ in document["files"] if folder is not None else ():
        with (folder / name).open("rb") as file:
            for part in iter(lambda: file.read(CHUNK), b""):
                write(part)


def write(content: bytes) -> None:
    """Write all of it to standard output."""
    while content:
        content = content[os.write(1, content) :]


def answer(source: Source, folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Take the files, run the commands, and say what there is to send."""
    receive(source, folder, asked["files"])
    threading.Thread(target=source.watch, daemon=True).start()
    until = time.monotonic() + asked["limit_s"]
    for command in asked["commands"]:
        run(source, folder, python_of(asked["python"]), command, until - time.monotonic())
    wanted = [folder / name for name in asked["wanted"]]
    return {"files": [[file.name, file.stat().st_size] for file in wanted if file.is_file()]}


def python_of(name: str) -> str:
    """The Python that the user named; a path is one from the home folder, where the login shell is."""
    return str(Path(name).expanduser().absolute()) if "/" in name else name


def serve(source: Source, asked: dict[str, Any]) -> None:
    """Answer one request, and remove the folder before the last line."""
    base = Path(asked["folder"] or tempfile.gettempdir()).expanduser()
    folder = None
    try:
        try:
            folder = make_folder(base)
            send(answer(source, folder, asked), folder)
        except OSError as error:
            told = f"folder {str(base)!r} there cannot be written: {error.strerror}"
            raise GivenUpError(f"{told}; set device.folder to another") from None
    except GivenUpError as error:
        send({"files": [], "failure": str(error)}, None)
    finally:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        if folder is not None:
            shutil.rmtree(str(folder), ignore_errors=True)
    left = str(folder) if folder is not None and folder.exists() else None
    write(json.dumps({"left": left}).encode() + b"\n")


def interrupted(number: int, frame: Any) -> None:  # noqa: ARG001 - the signature that signal asks for
    """Unwind at a signal, so that the folder is removed."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise LostError


def main() -> int:
    """Serve the request on standard input."""
    for each in SIGNALS:
        signal.signal(each, interrupted)
    source = Source(ABANDONED_S)
    try:
        asked = json.loads(source.whole(int(source.line())).decode())
        source.patience_s = asked["patience_s"]
        serve(source, asked)
    except (LostError, OSError):  # nobody reads an answer
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
