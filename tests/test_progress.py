"""Bars on a terminal, a line now and then in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from edgecompress.progress import CallerWarnings, PlainProgress, Progress, TerminalProgress, progress_for


def test_a_pipe_gets_warnings_alone_where_the_work_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    progress = progress_for(Console(file=io.StringIO()))
    assert isinstance(progress, PlainProgress)
    with progress.step("capture"):
        assert list(progress.track([1, 2], "evaluate")) == [1, 2]
    progress.warn("onnxsim was left out")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "warning: onnxsim was left out\n")


def test_a_pipe_hears_of_long_work_every_half_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecompress.progress.LINE_SECONDS", 30.0)
    seconds = iter(range(0, 1000, 10))
    progress = PlainProgress(clock=lambda: next(seconds))
    assert list(progress.track("abcdefg", "epoch 1", note=lambda: "loss 0.5")) == list("abcdefg")
    assert list(progress.track(iter("abc"), "evaluate")) == list("abc")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "epoch 1: 3 of 7, loss 0.5\nepoch 1: 6 of 7, loss 0.5\nevaluate: 2\n"


def test_a_terminal_gets_a_bar_that_counts() -> None:
    screen = io.StringIO()
    progress = progress_for(Console(file=screen, force_terminal=True, width=80))
    assert isinstance(progress, TerminalProgress)
    assert list(progress.track([1, 2, 3], "evaluate")) == [1, 2, 3]
    with progress.step("capture"):
        pass
    progress.warn("look out [here]")
    shown = screen.getvalue()
    assert "evaluate" in shown
    assert "3/3" in shown
    assert "look out [here]" in shown


def test_a_note_is_asked_after_every_item_and_shown_as_it_is() -> None:
    screen = io.StringIO()
    asked: list[int] = []

    def note() -> str:
        asked.append(len(asked))
        return f"loss {len(asked)} [nats]"

    progress = progress_for(Console(file=screen, force_terminal=True, width=80))
    assert list(progress.track("abc", "epoch 1", note=note)) == ["a", "b", "c"]
    assert asked == [0, 1, 2]
    assert "loss 3 [nats]" in screen.getvalue()


def test_nobody_is_told_by_default() -> None:
    assert list(Progress().track(range(3), "evaluate")) == [0, 1, 2]


def test_a_caller_in_python_is_warned_at_a_line_of_their_own() -> None:
    with pytest.warns(UserWarning, match="^the batch is fixed$") as told:
        CallerWarnings().warn("the batch is fixed")
    assert told[0].filename == __file__
