"""A device without a device: an OpenSSH server of the test's own on the loopback, with keys that it makes.

``make ssh-server`` unpacks one where the system has none; EDGECOMPRESS_SSHD names another.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

UNPACKED = Path.home() / ".cache" / "edgecompress" / "ssh-server"
SETTINGS = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
ForceCommand {folder}/login
"""
CLIENT = """
Host *
  IdentityFile {folder}/user
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking no
"""
# As root, the server asks for a user and a folder that its package makes; they are there for it alone.
AS_ROOT = """
mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && mount --bind {folder}/passwd /etc/passwd && exec "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server: its folder, its URL, and the folder ``room``, the temporary one of whoever logs in."""

    folder: Path
    url: str
    room: Path

    def login(self, script: str) -> None:
        """What the server runs in place of a command; ``RUN`` in it is that command in the user's shell."""
        program = self.folder / "login"
        run = 'exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"'
        program.write_text(f"#!/bin/sh\nexport TMPDIR='{self.room}'\n{script.replace('RUN', run)}\n")
        program.chmod(0o755)

    def python(self, name: str, script: str) -> str:
        """A program of the test's own that stands for the Python there; its path."""
        program = self.folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return str(program)

    def forget(self, known: str = "") -> None:
        """Make the client know another key of the server, or none."""
        (self.folder / "known").write_text(known)

    @property
    def left(self) -> list[str]:
        """What lies in the temporary folder there."""
        return sorted(path.name for path in self.room.iterdir())

    def is_clean(self, within_s: float = 60.0) -> bool:
        """Whether nothing is left there, after a while at the latest."""
        until = time.monotonic() + within_s
        while self.left and time.monotonic() < until:
            time.sleep(0.05)
        return not self.left


def sshd() -> list[str]:
    """The command that starts the server; the test is skipped where there is none."""
    named = os.environ.get("EDGECOMPRESS_SSHD")
    found = named or shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    own = UNPACKED / "usr" / "sbin" / "sshd"
    if found is None and not own.is_file():
        pytest.skip("no OpenSSH server (make ssh-server, or Debian: apt-get install openssh-server)")
    libraries = ":".join(str(path.parent) for path in UNPACKED.glob("usr/lib/*/libwrap.so.0"))
    return [str(found)] if found else ["env", f"LD_LIBRARY_PATH={libraries}", str(own)]


def _start(folder: Path) -> list[str]:
    """The command, in a world of its own where the user is root."""
    command = [*sshd(), "-D", "-e", "-f", str(folder / "settings")]
    if os.geteuid() != 0 or (_has_user() and Path("/run/sshd").is_dir()):
        return command
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("as root, an OpenSSH server needs its package installed, or namespaces")
    users = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("sshd:")]
    users.append("sshd:x:64999:65534::/run/sshd:/usr/sbin/nologin\n")
    (folder / "passwd").write_text("\n".join(users))
    return ["unshare", "-m", "sh", "-c", AS_ROOT.format(folder=folder), "sh", *command]


def _has_user() -> bool:
    return any(line.startswith("sshd:") for line in Path("/etc/passwd").read_text().splitlines())


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server with keys in ``folder``, which is short: a path in it is one of a socket. Its client is ``bin/ssh``."""
    for program in ("ssh", "ssh-keygen"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} (Debian: apt-get install openssh-client)")
    (folder / "a room").mkdir()
    (folder / "bin").mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "settings").write_text(SETTINGS.format(folder=folder, port=port))
    (folder / "client").write_text(CLIENT.format(folder=folder))
    client = folder / "bin" / "ssh"
    client.write_text(f"#!/bin/sh\nexec {shutil.which('ssh')} -F '{folder}/client' \"$@\"\n")
    client.chmod(0o755)
    kind, key = (folder / "host.pub").read_text().split()[:2]
    server = Server(folder=folder, url=f"ssh://{getpass.getuser()}@127.0.0.1:{port}", room=folder / "a room")
    server.forget(f"[127.0.0.1]:{port} {kind} {key}\n")
    server.login("RUN")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(_start(folder), stdout=log, stderr=log, start_new_session=True)
    try:
        _await(port, process, folder / "log")
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            pytest.fail(f"the OpenSSH server does not start: {log.read_text()}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    pytest.fail("the OpenSSH server does not answer")
