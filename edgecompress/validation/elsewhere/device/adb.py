"""A connection to an Android with a shell, made by Android's own ``adb``: one call for each request.

Whatever was pushed is removed by the device: a shell there waits for standard input to end, which it does when this
process ends, however it ends, and when the cable is pulled.
"""

from __future__ import annotations

import re
import secrets
import shlex
import shutil
import subprocess  # of the adb that the user has  # nosec B404
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgecompress.validation.elsewhere.device.connection import DeviceError

PREFIX = "edgecompress-device-"
MARK = "edgecompress status"
ABANDONED_MIN = 120
"""Age in minutes of a folder beyond which no run has it any more."""
ANSWER_S, PUSH_S, ENDING_S = 60.0, 1800.0, 60.0
GONE = "gone"
LEASE = """trap '' HUP INT TERM
read said
rm -rf {folder}
[ -e {folder} ] || echo {gone}
n=0
while [ -z "$said" ] && [ $n -lt 30 ]; do sleep 1; rm -rf {folder}; n=$((n+1)); done"""
"""What waits there. Without a word, somebody died who may still be pushing: then it removes for half a minute."""
STATES = {
    "unauthorized": "does not know this machine; unlock its screen and allow USB debugging there",
    "authorizing": "does not know this machine yet; unlock its screen and allow USB debugging there",
    "offline": "is offline; plug it in again, or adb reconnect",
    "no permissions": "may not be used by this user; add the udev rule for it (Debian: adb brings them)",
}
"""What adb says of a device that cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Adb:
    """A device that answers.

    Attributes:
        program: the path of adb.
        serial: what adb calls the device.
    """

    program: str
    serial: str

    @property
    def name(self) -> str:
        """The device in messages."""
        return f"adb://{self.serial}"

    def shell(self, script: str, limit_s: float = ANSWER_S) -> tuple[int, str]:
        """Run a script in the shell there; its exit status, and what it says.

        Raises:
            DeviceError: it does not end in time, or the connection is lost.
        """
        done = self._call("shell", f"( {script}\n) 2>&1\nstatus=$?; echo; echo {MARK} $status", limit_s=limit_s)
        text = done.stdout.decode("utf-8", "replace").replace("\r\n", "\n")
        said, found, status = text.rpartition(f"\n{MARK} ")
        if not found or not status.strip().isdecimal():
            raise DeviceError(f"the connection to {self.name} was lost{_last(done.stderr + done.stdout)}; run it again")
        return int(status), said

    def push(self, source: Path, base: str) -> None:
        """Copy a folder into a folder there.

        Raises:
            DeviceError: there is no room, or it may not be written.
        """
        done = self._call("push", str(source), f"{base}/", limit_s=PUSH_S)
        if done.returncode:
            said = (done.stderr + done.stdout).decode("utf-8", "replace")
            if "No space left" in said:
                raise DeviceError(f"{self.name} has no room in {base!r}; remove something, or set device.folder")
            if re.search(r"Permission denied|not permitted|Read-only", said):
                raise DeviceError(f"folder {base!r} on {self.name} cannot be written; set device.folder to another")
            raise DeviceError(f"nothing can be copied to {self.name}{_last(said.encode())}; run it again")

    @contextmanager
    def lent(self, base: str) -> Iterator[str]:
        """A new name for a folder there, which is removed behind this, whatever happens.

        Raises:
            DeviceError: it could not be removed.
        """
        folder = f"{base}/{PREFIX}{secrets.token_hex(8)}"
        script = LEASE.format(folder=shlex.quote(folder), gone=GONE)
        lease = subprocess.Popen(  # no shell here  # nosec B603
            [self.program, "-s", self.serial, "shell", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C ends this process, which ends the lease in order
        )
        try:
            yield folder
        except BaseException:
            with suppress(DeviceError):
                self._end(lease, folder)
            raise
        self._end(lease, folder)

    def _end(self, lease: subprocess.Popen[bytes], folder: str) -> None:
        said = b""
        with suppress(subprocess.TimeoutExpired, OSError):
            said, _ = lease.communicate(b"done\n", ENDING_S)
        lease.kill()
        lease.wait()
        if GONE.encode() not in said:
            raise DeviceError(f"folder {folder!r} on {self.name} could not be removed; remove it")

    def _call(self, *arguments: str, limit_s: float) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # no shell, nothing of a stranger's  # nosec B603
                [self.program, "-s", self.serial, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=limit_s,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DeviceError(f"not done on {self.name} after {limit_s:.0f} s; look at what else runs there") from None


def connect(serial: str) -> Adb:
    """The device with a serial number; with an empty one, the only device that adb knows.

    Raises:
        DeviceError: there is no adb, no such device, or it cannot be used.
    """
    program = shutil.which("adb")
    if program is None:
        raise DeviceError(
            "a device over adb needs Android's adb, and the PATH has none; install it (Debian: apt-get install adb)"
        )
    known = _devices(program)
    if not serial and len(known) > 1:
        named = shlex.quote(f"adb://{next(iter(known))}")
        raise DeviceError(f"adb knows several devices: {', '.join(known)}; name a device, as {named}")
    if not known:
        raise DeviceError("adb knows no device; plug it in and allow USB debugging there, or adb connect HOST:PORT")
    found = serial or next(iter(known))
    if found not in known:
        raise DeviceError(f"adb knows no device {found!r}; it knows {', '.join(known)}")
    state = known[found]
    if state != "device":
        told = next(
            (what for name, what in STATES.items() if state.startswith(name)), f"is in state {state!r}; boot it"
        )
        raise DeviceError(f"adb://{found} {told}")
    return Adb(program=program, serial=found)


def _devices(program: str) -> dict[str, str]:
    """The devices that adb knows, by serial number, with the state of each."""
    try:
        done = subprocess.run(  # no shell  # nosec B603
            [program, "devices"], stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWER_S, check=False
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise DeviceError(f"adb does not answer: {error}; try adb kill-server, then adb devices") from None
    if done.returncode:
        raise DeviceError(
            f"adb does not answer{_last(done.stderr + done.stdout)}; try adb kill-server, then adb devices"
        )
    return read_devices(done.stdout.decode("utf-8", "replace"))


def read_devices(text: str) -> dict[str, str]:
    """The devices that ``adb devices`` lists: serial number -> state.

    >>> read_devices("List of devices attached\\nemulator-5554\\tdevice\\n0A1B\\tno permissions; see [url]\\n\\n")
    {'emulator-5554': 'device', '0A1B': 'no permissions; see [url]'}
    """
    rows = [line.partition("\t") for line in text.splitlines() if "\t" in line]
    return {serial.strip(): state.strip() for serial, _, state in rows}


def _last(said: bytes) -> str:
    lines: Sequence[str] = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return f": {lines[-1].removeprefix('adb: ').removeprefix('error: ')}" if lines else ""
