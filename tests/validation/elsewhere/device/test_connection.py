"""The client is OpenSSH's, is never asked anything, accepts no host key, and what it says becomes one line."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from edgecompress.recipe.device import DeviceUrl, parse_url
from edgecompress.validation.elsewhere.device.connection import DeviceError, client_line, name_of, reason

BOARD = DeviceUrl(scheme="ssh", host="board.local", user="pi", port=2222)
CHANGED = b"""@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Host key verification failed.
"""
TOLD = {
    CHANGED: "ssh://pi@board.local:2222 shows another host key than the one that is known: it is another machine, or"
    " somebody is in between; find out, then ssh-keygen -R '[board.local]:2222' forgets the old key",
    b"No ED25519 host key is known for board.local and you have requested strict checking.\r\n": "ssh://pi@board.local:"
    "2222 shows a host key that is not known here; ssh -p 2222 pi@board.local asks whether it is the right one",
    b"pi@board.local: Permission denied (publickey).\r\n": "ssh://pi@board.local:2222 takes none of your keys;"
    " ssh-copy-id installs one, and ssh -p 2222 pi@board.local shows what is asked",
    b"ssh: Could not resolve hostname board.local: Name or service not known\r\n": "ssh://pi@board.local:2222 cannot be"
    " reached: Could not resolve hostname board.local: Name or service not known; check the URL, and that the device is"
    " on",
    b"Connection to board.local closed by remote host.\r\n": "the connection to ssh://pi@board.local:2222 was lost:"
    " Connection to board.local closed by remote host.; run it again",
    b"": "the connection to ssh://pi@board.local:2222 was lost; run it again",
}


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A client on the PATH."""
    client = tmp_path / "ssh"
    client.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return client


def test_the_client_is_given_the_parts_of_the_url_and_one_command(program: Path) -> None:
    line = client_line(BOARD, "/opt/my python/bin/python3")
    assert line[:2] == [str(program), "-T"]
    assert line[-7:-1] == ["-p", "2222", "-l", "pi", "--", "board.local"]
    words = shlex.split(line[-1])
    assert words[:4] == ["exec", "/opt/my python/bin/python3", "-B", "-c"]
    assert len(words) == 5
    assert len(line[-1]) < 9000  # what Dropbear takes
    compile(words[4], "command", "exec")
    settings = {line[place + 1] for place, word in enumerate(line) if word == "-o"}
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", "ForwardAgent=no", "RemoteCommand=none"} <= settings


def test_what_the_url_leaves_out_is_left_to_the_configuration(program: Path) -> None:
    line = client_line(parse_url("ssh://board"), "~/it's/python")
    assert line[-3:-1] == ["--", "board"]
    assert "-p" not in line
    assert "-l" not in line
    assert line[-1].startswith("""exec "$HOME"/'it'"'"'s/python' -B -c """)


def test_without_a_client_a_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match=r"the PATH has no ssh; install it \(Debian: apt-get"):
        client_line(BOARD, "python3")


@pytest.mark.parametrize("said", TOLD)
def test_what_the_client_says_is_one_line_with_what_to_do(said: bytes) -> None:
    assert reason(BOARD, 255, said) == TOLD[said]


def test_a_status_of_the_device_is_told_as_its_own() -> None:
    said = b"sh: 1: exec: python9: not found\n"
    assert reason(BOARD, 127, said) == (
        "ssh://pi@board.local:2222 has no such Python: sh: 1: exec: python9: not found; set device.python to its path"
    )
    assert reason(BOARD, 137, b"") == (
        "ssh://pi@board.local:2222 ended with status 137 and no answer; look at what ssh -p 2222 pi@board.local does"
    )


@pytest.mark.parametrize("url", ["ssh://board", "ssh://pi@board:22", "ssh://pi@[::1]:22", "ssh://[::1]"])
def test_a_device_is_called_as_it_was_named(url: str) -> None:
    assert name_of(parse_url(url)) == url
