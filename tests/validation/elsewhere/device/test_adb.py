"""Android's adb as a connection: a status comes back with what was said, and its daemon may be missing."""

from __future__ import annotations

import pytest

from edgecompress.recipe.device import parse_url
from edgecompress.validation.elsewhere.device.adb import connect
from edgecompress.validation.elsewhere.device.connection import DeviceError
from tests.android import Android


def test_the_only_device_needs_no_name(phone: Android) -> None:
    assert connect("").name == phone.url
    assert connect("emulator-5554").serial == "emulator-5554"


def test_a_name_as_mdns_gives_it_is_a_serial_number(phone: Android) -> None:
    names = ("adb-1234 (2)._adb-tls-connect._tcp", "192.168.1.5:5555")
    phone.attached(*(f"{name}\tdevice" for name in names))
    for name in names:
        adb = connect(parse_url(f"adb://{name}").host)
        assert adb.name == f"adb://{name}"
        assert adb.shell("echo a") == (0, "a\n")
    with pytest.raises(DeviceError) as caught:
        connect("")
    assert str(caught.value) == (f"adb knows several devices: {', '.join(names)}; name a device, as 'adb://{names[0]}'")


@pytest.mark.parametrize("status", [0, 1, 127])
def test_the_status_of_a_script_comes_back(phone: Android, status: int) -> None:
    assert connect("").shell(f"echo a; echo b >&2; exit {status}") == (status, "a\nb\n")


def test_lines_of_an_old_android_are_lines(phone: Android) -> None:
    assert connect("").shell("printf 'a\\r\\nb\\r\\n'") == (0, "a\nb\n")


def test_a_folder_is_lent_and_removed(phone: Android) -> None:
    adb = connect("")
    with adb.lent(str(phone.room)) as folder:
        assert adb.shell(f"mkdir '{folder}' && touch '{folder}/a'")[0] == 0
        assert len(phone.left) == 1
    assert phone.left == []


def test_a_daemon_that_does_not_start_is_told(phone: Android) -> None:
    (phone.folder / "adb").write_text("#!/bin/sh\necho 'adb: failed to start daemon' >&2; exit 1\n")
    with pytest.raises(DeviceError) as caught:
        connect("")
    told = "adb does not answer: failed to start daemon; try adb kill-server, then adb devices"
    assert str(caught.value) == told
