"""A device of one's own, and what its URL says: ``ssh://[user@]host[:port]``, or ``adb://SERIAL`` for an Android.

Host and user go to a program's command line, and from there into the configuration of its user. So they are held to
the characters of names, and begin with none that an option has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, Field

from edgecompress.errors import RecipeError
from edgecompress.recipe.table import Table

SCHEMES = ("ssh", "adb")
FORM = "ssh://[user@]host[:port] or adb://SERIAL"
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+(%[A-Za-z0-9]+)?\]")
SERIAL = re.compile(r"([A-Za-z0-9_\[][A-Za-z0-9_.:+%\[\]-]*( \([0-9]+\)[A-Za-z0-9_.:+%\[\]-]*)?)?")
"""A serial number, an address, or a name of mDNS, which numbers what is called alike: ``adb-1234 (2)._adb._tcp``."""
BEGINNING = re.compile(rf"^({'|'.join(SCHEMES)}):/?")
PROCESSORS = ("cpu", "cuda", "gpu", "mps", "auto")
"""What other programs take for a device."""
MAX_PORT, MAX_THREADS = 65535, 256


@dataclass(frozen=True, kw_only=True)
class DeviceUrl:
    """The parts of a device's URL.

    Attributes:
        scheme: how it is reached.
        host: its name or address, or what the user's configuration calls it; of an Android its serial number, which is
            empty for the only device that adb knows.
        user: to log in as; None where that is left to the configuration.
        port: of its server; None where that is left to the configuration.
    """

    scheme: str
    host: str
    user: str | None = None
    port: int | None = None


def parse_url(url: str, key: str = "device.url") -> DeviceUrl:
    """The parts of a URL.

    Raises:
        ValueError: it is none of :data:`FORM`. The message does not repeat a password.

    >>> parse_url("ssh://pi@board.local:2222")
    DeviceUrl(scheme='ssh', host='board.local', user='pi', port=2222)
    >>> parse_url("ssh://pi:secret@board")
    Traceback (most recent call last):
    ValueError: a URL with a password in 'device.url'; leave it out: only keys are used, ssh-copy-id installs one
    """
    scheme, found, rest = url.partition("://")
    user, at, place = (rest if found else BEGINNING.sub("", url)).rpartition("@")
    if at and ":" in user:
        raise ValueError(
            f"a URL with a password in {key!r}; leave it out: only keys are used, ssh-copy-id installs one"
        )
    if not found or scheme not in SCHEMES:
        raise ValueError(_fault(url, key, f"expected {FORM}"))
    if scheme == "adb":
        if not SERIAL.fullmatch(rest):
            raise ValueError(_fault(url, key, "its serial number is none that adb has"))
        return DeviceUrl(scheme=scheme, host=rest)
    if at and not USER.fullmatch(user):
        raise ValueError(_fault(url, key, "its user is no name"))
    host, port = _split_port(place)
    if not HOST.fullmatch(host):
        raise ValueError(_fault(url, key, "its host is no name"))
    if port is not None and not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) <= MAX_PORT):
        raise ValueError(_fault(url, key, f"its port is none from 1 to {MAX_PORT}"))
    return DeviceUrl(
        scheme=scheme,
        host=host.strip("[]"),
        user=user if at else None,
        port=None if port is None else int(port),
    )


def named_url(scheme: str, device: str) -> DeviceUrl:
    """The URL of a place whose scheme is the name of its runtime, and whose device the rest, such as ``//board``.

    Raises:
        RecipeError: it is none.

    >>> named_url("ssh", "//pi@board.local").host
    'board.local'
    """
    try:
        return parse_url(f"{scheme}:{device}", "--device")
    except ValueError as error:
        raise RecipeError(str(error)) from None


def checked_url(url: str, key: str = "device.url") -> str:
    """A URL as it is, where it is one.

    Raises:
        ValueError: as :func:`parse_url`.
    """
    parse_url(url, key)
    return url


def _split_port(place: str) -> tuple[str, str | None]:
    """Host and port; the colons of an address of IPv6 stand in brackets."""
    address, closed, behind = place.partition("]")
    if closed and behind[:1] in ("", ":"):
        return address + closed, behind[1:] if behind else None
    host, colon, port = place.partition(":")
    return host, port if colon else None


def _fault(url: str, key: str, what: str) -> str:
    meant = "; training takes a GPU where there is one" if url.lower().partition(":")[0] in PROCESSORS else ""
    return f"{what}, got {url!r} in {key!r}; write {FORM}{meant}"


class Device(Table):
    """A device on which the artifact is run and timed, next to the float file."""

    url: Annotated[str, AfterValidator(checked_url)] | None = None
    """Where it is: ``ssh://[user@]host[:port]``, where what is left out is as OpenSSH's own configuration has it, or
    ``adb://SERIAL``, with the serial number that ``adb devices`` lists; ``adb://`` is the only device."""
    python: Annotated[str, Field(pattern=r"^[^-\x00-\x1f][^\x00-\x1f]*$")] = "python3"
    """The Python there, by its name or path; ``~/`` is the home folder there."""
    onnxruntime: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)*(\.\*)?$")] | None = None
    """Bring this version along with numpy, from wheels for the device, only for the run; by default what is found
    there is used."""
    folder: Annotated[str, Field(pattern=r"^(/|~/)[^\x00-\x1f]*$")] | None = None
    """Where the run has its own folder there, which it removes; by default the temporary folder."""
    runner: Annotated[str, Field(pattern=r"^/[^\x00-\x1f]*[^/\x00-\x1f]$")] = "/data/local/tmp/onnxruntime_perf_test"
    """Where an Android has ONNX Runtime's ``onnxruntime_perf_test``, which times there."""
    threads: Annotated[int, Field(gt=0, le=MAX_THREADS)] | None = None
    """Intra-op threads there; by default ``cpu.threads``."""
    cores: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """The numbers of the cores that the run keeps to; by default all."""

    @property
    def where(self) -> str:
        """The end of a sentence about what is timed there; nothing where no device is named."""
        return "" if self.url is None else f" on {self.url}"

    def with_cores_of(self, other: Self) -> Self:
        """This table, with the threads and cores of another where it has none."""
        return self.model_copy(update={"threads": self.threads or other.threads, "cores": self.cores or other.cores})
