"""A connection to a device, made by OpenSSH's own client: one for each request, with nobody to answer a question.

The configuration, keys and agent are the user's. A host key that is not known is never accepted, whatever that
configuration says. What is sent goes through standard input; the command line only starts Python.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import shutil
import subprocess  # of the ssh that the user has  # nosec B404
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from typing import IO, Any

from edgecompress.errors import EdgecompressError
from edgecompress.recipe.device import DeviceUrl
from edgecompress.validation.elsewhere.device.supervisor import CHUNK, MARK

OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": "20",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "3",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "EscapeChar": "none",
    "ControlMaster": "no",
    "LogLevel": "ERROR",
}
"""What the user's configuration does not decide: nothing is asked, accepted, forwarded or left running."""
BEAT_S, PATIENCE_S, ENDING_S = 5.0, 60.0, 10.0
"""Between signs of life; after how many seconds without one the device gives up; until a client is ended."""
START = "import sys;sys.path[:]=filter(None,sys.path);import base64,zlib;exec(zlib.decompress(base64.b64decode('{}')))"
SAID = 100
"""Lines on standard error that are kept."""


class DeviceError(EdgecompressError):
    """A device does not answer as it should; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A call of Python on the device.

    Attributes:
        arguments: of Python.
        needed: whether the request fails with it.
    """

    arguments: Sequence[str]
    needed: bool = True


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request to a device.

    Attributes:
        python: by name or path.
        folder: in which the folder of the request is made; None for the temporary folder there.
        files: what is sent, by name.
        commands: that are run, in order.
        wanted: names of files that come back, as far as they are there.
        limit_s: for all commands together.
    """

    python: str
    folder: str | None
    files: Mapping[str, bytes]
    commands: Sequence[Command]
    wanted: Sequence[str]
    limit_s: float

    @property
    def head(self) -> bytes:
        """What is sent before the bytes of the files."""
        document = {
            "python": self.python,
            "folder": self.folder,
            "files": [[name, len(content)] for name, content in self.files.items()],
            "commands": [vars(command) for command in self.commands],
            "wanted": list(self.wanted),
            "limit_s": self.limit_s,
            "patience_s": PATIENCE_S,
        }
        text = json.dumps(document).encode()
        return b"%d\n" % len(text) + text


def ask(url: DeviceUrl, asked: Asked) -> dict[str, bytes]:
    """Let a device carry out a request; the files that came back, by name.

    Raises:
        DeviceError: it cannot be reached, the connection is lost, or the request fails there.
    """
    said: list[bytes] = []
    with suppress(EOFError), _client(url, asked.python, said) as process, _sent(process, asked):
        assert process.stdout is not None
        try:
            return _read(process.stdout)
        except (ValueError, KeyError, TypeError, AttributeError):
            told = f"{name_of(url)} answers something else than was asked; look at its login shell"
            raise DeviceError(told) from None
    # Only now has the client said all.
    raise DeviceError(reason(url, process.returncode, b"".join(said)))


def _read(stream: IO[bytes]) -> dict[str, bytes]:
    """The files of an answer.

    Raises:
        EOFError: it ends before.
        DeviceError: it tells of a failure.
    """
    head = _head(stream)
    files = {str(name): _whole(stream, size) for name, size in head["files"]}
    last = stream.readline()
    if head.get("failure"):
        raise DeviceError(str(head["failure"]))
    if not last:
        raise EOFError
    left = json.loads(last)["left"]
    if left:
        raise DeviceError(f"folder {left!r} could not be removed there; remove it")
    return files


def name_of(url: DeviceUrl) -> str:
    """A device in messages, and the name of its place."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    user = "" if url.user is None else f"{url.user}@"
    return f"{url.scheme}://{user}{host}{'' if url.port is None else f':{url.port}'}"


def client_line(url: DeviceUrl, python: str) -> list[str]:
    """The command line of the client, which starts the supervisor there.

    Raises:
        DeviceError: there is no client.
    """
    program = shutil.which("ssh")
    if program is None:
        raise DeviceError(
            "a device needs OpenSSH's client, and the PATH has no ssh; install it (Debian: apt-get install"
            " openssh-client)"
        )
    options = [part for key, value in OPTIONS.items() for part in ("-o", f"{key}={value}")]
    where = [] if url.port is None else ["-p", str(url.port)]
    who = [] if url.user is None else ["-l", url.user]
    return [program, "-T", *options, *where, *who, "--", url.host, f"exec {_quoted(python)} -B -c {_start()}"]


def _quoted(python: str) -> str:
    """A program for the login shell there."""
    return f'"$HOME"/{shlex.quote(python[2:])}' if python.startswith("~/") else shlex.quote(python)


def _start() -> str:
    """Code that any shell passes on as it is: the supervisor in letters, digits and a few signs."""
    text = resources.files("edgecompress").joinpath("validation/elsewhere/device/supervisor.py").read_bytes()
    return f'"{START.format(base64.b64encode(zlib.compress(text, 9)).decode())}"'


@contextmanager
def _client(url: DeviceUrl, python: str, said: list[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The running client; what it says on standard error is added to ``said``. In the end it is gone."""
    process = subprocess.Popen(  # no shell, nothing of a stranger's  # nosec B603
        client_line(url, python),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C ends this process, which ends the client in order
    )
    listening = threading.Thread(target=_listen, args=(process.stderr, said), daemon=True)
    listening.start()
    try:
        yield process
    finally:
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDING_S)
        process.kill()
        process.wait()
        listening.join(ENDING_S)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


@contextmanager
def _sent(process: subprocess.Popen[bytes], asked: Asked) -> Iterator[None]:
    """Send a request in a thread, then signs of life; behind it, standard input ends, and with it the request."""
    assert process.stdin is not None
    stream, done = process.stdin, threading.Event()

    def send() -> None:
        with suppress(OSError, ValueError):  # the answer says why nothing more is taken
            stream.write(asked.head)
            for content in asked.files.values():
                stream.write(content)
            stream.flush()
            left = asked.limit_s + PATIENCE_S
            while not done.wait(BEAT_S) and left > 0:
                left -= BEAT_S
                stream.write(b"\n")
                stream.flush()
            if left <= 0:
                process.kill()

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(ENDING_S)
        if thread.is_alive():  # in the middle of a file that nobody takes
            process.kill()
        with suppress(OSError):
            stream.close()


def _listen(stream: IO[bytes], said: list[bytes]) -> None:
    for line in stream:
        said.append(line)
        del said[:-SAID]


def _head(stream: IO[bytes]) -> dict[str, Any]:
    """The head of the answer, behind what a login shell prints."""
    while (line := stream.readline(CHUNK)).rstrip(b"\r\n") != MARK:
        if not line:
            raise EOFError
    return dict(json.loads(_whole(stream, int(stream.readline(CHUNK) or b"0"))))


def _whole(stream: IO[bytes], count: int) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        raise EOFError
    return found


FAULTS = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "{named} shows another host key than the one that is known: it is another machine, or somebody is in between;"
        " find out, then ssh-keygen -R {host} forgets the old key",
    ),
    (
        r"Host key verification failed|No .* host key is known",
        "{named} shows a host key that is not known here; {ssh} asks whether it is the right one",
    ),
    (r"Permission denied", "{named} takes none of your keys; ssh-copy-id installs one, and {ssh} shows what is asked"),
    (
        r"(Could not resolve hostname|Name or service not known|Connection refused|timed out|No route|unreachable).*",
        "{named} cannot be reached: {found}; check the URL, and that the device is on",
    ),
)
"""What the client says, and what that means."""
NO_PROGRAM, LOST = (126, 127), 255


def reason(url: DeviceUrl, status: int, said: bytes) -> str:
    """Why there is no answer, in one line: the cause, then the fix.

    >>> board = DeviceUrl(scheme="ssh", host="board", user="pi", port=22)
    >>> reason(board, 255, b"ssh: connect to host board port 22: Connection refused")
    'ssh://pi@board:22 cannot be reached: Connection refused; check the URL, and that the device is on'
    """
    named, text = name_of(url), said.decode("utf-8", "replace")
    where = [] if url.port is None else ["-p", str(url.port)]
    ssh = shlex.join(["ssh", *where, url.host if url.user is None else f"{url.user}@{url.host}"])
    host = url.host if url.port in (None, 22) else f"'[{url.host}]:{url.port}'"
    for pattern, told in FAULTS if status == LOST else ():
        if (found := re.search(pattern, text)) is not None:
            return told.format(named=named, ssh=ssh, host=host, found=found[0].strip())
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if status in NO_PROGRAM:
        return f"{named} has no such Python: {lines[-1] if lines else 'not found'}; set device.python to its path"
    last = f": {lines[-1]}" if lines else ""
    if status == LOST:
        return f"the connection to {named} was lost{last}; run it again"
    return f"{named} ended with status {status} and no answer{last}; look at what {ssh} does"
