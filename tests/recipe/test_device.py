"""A device's URL names a host and a user, and nothing that a program would take for something else."""

from __future__ import annotations

import pytest

from edgecompress.errors import RecipeError
from edgecompress.recipe.device import Device, DeviceUrl, checked_url, parse_url
from edgecompress.recipe.elsewhere import Validation
from edgecompress.recipe.tables import Recipe, parse_recipe

RIGHT = {
    "ssh://board": DeviceUrl(scheme="ssh", host="board"),
    "ssh://pi@10.0.0.7": DeviceUrl(scheme="ssh", host="10.0.0.7", user="pi"),
    "ssh://a.b-c@board.local:2222": DeviceUrl(scheme="ssh", host="board.local", user="a.b-c", port=2222),
    "ssh://[fe80::1%eth0]:22": DeviceUrl(scheme="ssh", host="fe80::1%eth0", port=22),
    "ssh://[::1]": DeviceUrl(scheme="ssh", host="::1"),
    "adb://": DeviceUrl(scheme="adb", host=""),
    "adb://emulator-5554": DeviceUrl(scheme="adb", host="emulator-5554"),
    "adb://192.168.1.5:5555": DeviceUrl(scheme="adb", host="192.168.1.5:5555"),
    "adb://[fe80::1%wlan0]:5555": DeviceUrl(scheme="adb", host="[fe80::1%wlan0]:5555"),
    "adb://adb-1A2b-x9Y8z7._adb-tls-connect._tcp": DeviceUrl(
        scheme="adb", host="adb-1A2b-x9Y8z7._adb-tls-connect._tcp"
    ),
    "adb://adb-1234 (2)._adb-tls-connect._tcp": DeviceUrl(scheme="adb", host="adb-1234 (2)._adb-tls-connect._tcp"),
}
WRONG = {
    "ssh://-oProxyCommand=id@board": "its user is no name",
    "ssh://-oProxyCommand=id": "its host is no name",
    "ssh://pi@-board": "its host is no name",
    "ssh://@board": "its user is no name",
    "ssh://": "its host is no name",
    "ssh://board/home": "its host is no name",
    "ssh://board;id": "its host is no name",
    "ssh://$(id)@board": "its user is no name",
    "ssh://a b@board": "its user is no name",
    "ssh://board:0": "its port is none from 1 to 65535",
    "ssh://board:65536": "its port is none from 1 to 65535",
    "ssh://board:22x": "its port is none from 1 to 65535",
    "ssh://board:": "its port is none from 1 to 65535",
    "ssh://[::1]22": "its host is no name",
    "ssh://[::1": "its host is no name",
    "ssh://board\n": "its host is no name",
    "board": "expected ssh://[user@]host[:port] or adb://SERIAL",
    "http://board": "expected ssh://[user@]host[:port] or adb://SERIAL",
    "adb://-d": "its serial number is none that adb has",
    "adb://a b": "its serial number is none that adb has",
    "adb://pi@a": "its serial number is none that adb has",
    "adb://$(id)": "its serial number is none that adb has",
    "adb://-d (2)": "its serial number is none that adb has",
    "adb:// (2)": "its serial number is none that adb has",
    "adb://a (id)": "its serial number is none that adb has",
    "adb://a(2)": "its serial number is none that adb has",
    "adb://a (2) ": "its serial number is none that adb has",
    "adb://a (2);id": "its serial number is none that adb has",
    "adb://a' (2)": "its serial number is none that adb has",
    'adb://a"': "its serial number is none that adb has",
    "ssh:pi@board": "expected ssh://[user@]host[:port] or adb://SERIAL",
    "adb://a\n": "its serial number is none that adb has",
}


@pytest.mark.parametrize("url", RIGHT)
def test_a_url_has_a_host_and_perhaps_a_user_and_a_port(url: str) -> None:
    assert parse_url(url) == RIGHT[url]
    assert Device(url=checked_url(url)).url == url


@pytest.mark.parametrize("url", WRONG)
def test_what_is_no_such_url_is_a_line(url: str) -> None:
    for make in (lambda: Device(url=url), lambda: parse_recipe({"device": {"url": url}})):
        with pytest.raises(RecipeError) as caught:
            make()
        assert str(caught.value).startswith(WRONG[url])
        assert str(caught.value).endswith("in 'device.url'; write ssh://[user@]host[:port] or adb://SERIAL")


@pytest.mark.parametrize(
    "url",
    [
        "ssh://pi:secret@board",
        "ssh://:secret@board",
        "ftp://pi:secret@board",
        "pi:secret@board",
        "ssh:/pi:secret@board",
    ],
)
def test_a_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Device(url=url)
    assert str(caught.value).startswith("a URL with a password in 'device.url'; leave it out")
    assert "secret" not in str(caught.value)


def test_a_place_that_is_a_url_is_held_to_the_same() -> None:
    assert Validation(on=("ssh://pi@board",)).on == ("ssh://pi@board",)
    for url in ("ssh://pi:secret@board", "ssh://-v@board"):
        with pytest.raises(RecipeError) as caught:
            Validation(on=(url,))
        assert "'validation.on'" in str(caught.value)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("python", "-c"),
        ("python", ""),
        ("python", "a\nb"),
        ("folder", "here"),
        ("runner", "here"),
        ("runner", "/data/"),
        ("onnxruntime", ">=1.20"),
        ("onnxruntime", "1.2; id"),
        ("threads", 0),
        ("threads", 257),
        ("cores", [-1]),
    ],
)
def test_other_values_are_held_to_their_kind(key: str, value: object) -> None:
    with pytest.raises(RecipeError, match=f"device.{key}"):
        parse_recipe({"device": {key: value}})


def test_threads_and_cores_of_another_table_fill_what_is_open() -> None:
    own, other = Device(python="~/a b/python", threads=2), Device(python="python", threads=4, cores=(1, 3))
    assert own.with_cores_of(other) == Device(python="~/a b/python", threads=2, cores=(1, 3))
    assert Recipe().device == Device()
