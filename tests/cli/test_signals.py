"""A signal that ends the program leaves nothing behind, and its number in the exit status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgecompress.cli import main
from edgecompress.targets.inheritance import ProfileFile, read_chain

ROOT = Path(__file__).parents[2]
DATA = """
import os, signal
from tests.networks import images

def calibration():
    yield images()[0]
    print("here", flush=True)
    signal.pause()
"""
COMMAND = ["compress", "nets.py:net", "--calibration", "waiting.py:calibration", "--output", "deep/out"]


def _start(folder: Path) -> subprocess.Popen[str]:
    """A compression whose data never end; its draft is open when this returns."""
    (folder / "waiting.py").write_text(DATA)
    running = subprocess.Popen(
        [sys.executable, "-B", "-m", "edgecompress", *COMMAND],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert running.stdout is not None
    assert any("here" in line for line in running.stdout)
    assert (folder / "deep" / ".out.partial").is_dir()
    return running


def test_a_signal_ends_in_one_line_and_leaves_nothing(project: Path) -> None:
    running = _start(project)
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGTERM
    *_, last = errors.splitlines()  # on a slow machine, lines of progress stand before it
    assert last == "error: ended by SIGTERM; nothing was written"
    assert not (project / "deep").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_each_signal_has_its_status(
    number: signal.Signals, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    signal.signal(number, signal.SIG_DFL)  # nohup, which may have started these tests, ignores SIGHUP
    monkeypatch.setattr("edgecompress.targets.provenance.read_chain", lambda name: os.kill(os.getpid(), number))
    assert main(["targets", "show", "mobile"]) == 128 + number
    assert capsys.readouterr().err == f"error: ended by {number.name}; nothing was written\n"
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_ignored(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang_up(name: str) -> tuple[ProfileFile, ...]:
        os.kill(os.getpid(), signal.SIGHUP)
        return read_chain(name)

    monkeypatch.setattr("edgecompress.targets.provenance.read_chain", hang_up)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main(["targets", "show", "mobile"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_is_noted_on_an_interruption_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def log_bundle(*arguments: object, **named: object) -> None:
        error = KeyboardInterrupt()
        error.add_note("run 1 is left there unfinished")
        raise error

    monkeypatch.setattr("edgecompress.report.tracking.log_bundle", log_bundle)
    assert main(["log", "net-mobile", "--mlflow", "http://host"]) == 128 + signal.SIGINT
    assert capsys.readouterr().err.splitlines()[-1] == "error: interrupted; run 1 is left there unfinished"
