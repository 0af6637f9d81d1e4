"""Bars on a terminal, a line now and then in a pipe."""

from __future__ import annotations

import ast
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

import edgecompress
from edgecompress.progress import CallerWarnings, PlainProgress, Progress, TerminalProgress, progress_for


def test_a_pipe_gets_warnings_alone_where_the_work_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    progress = progress_for(Console(file=io.StringIO()))
    assert isinstance(progress, PlainProgress)
    with progress.step("capture"):
        assert list(progress.track([1, 2], "evaluating", "batch")) == [1, 2]
    progress.warn("onnxsim was left out")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "warning: onnxsim was left out\n")


def test_a_pipe_hears_of_long_work_every_half_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecompress.progress.LINE_SECONDS", 30.0)
    seconds = iter(range(0, 1000, 10))
    progress = PlainProgress(clock=lambda: next(seconds))
    assert list(progress.track("abcdefg", "training, epoch 1 of 3", "step", note=lambda: "loss 0.5")) == list("abcdefg")
    assert list(progress.track(iter("abc"), "evaluating", "batch")) == list("abc")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "training, epoch 1 of 3: step 3 of 7, loss 0.5\n"
        "training, epoch 1 of 3: step 6 of 7, loss 0.5\n"
        "evaluating: batch 2\n"
    )


def test_a_pipe_hears_of_a_long_step_while_it_lasts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecompress.progress.LINE_SECONDS", 0.001)
    progress, told = PlainProgress(), ""
    with progress.step("step validate"), progress.step("measuring latency"):
        while "measuring latency, 0 s so far\n" not in told:
            told += capsys.readouterr().err


def test_a_pipe_hears_where_the_work_is_within_a_long_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecompress.progress.LINE_SECONDS", 0.001)
    progress, told = PlainProgress(), ""
    with progress.step("step quantize"):
        for item in progress.track("abc", "returning layers to float", "trial"):
            while item == "b" and "returning layers to float: trial 1 of 3\n" not in told:
                told += capsys.readouterr().err
        while " s so far\n" not in told:  # and no longer of what is done
            told += capsys.readouterr().err


def test_a_pipe_hears_nothing_more_of_a_step_that_failed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecompress.progress.LINE_SECONDS", 0.001)
    with pytest.raises(ZeroDivisionError), PlainProgress().step("measuring latency"):
        raise ZeroDivisionError
    capsys.readouterr()
    assert [thread for thread in threading.enumerate() if thread.name == "measuring latency"] == []


def _labels() -> Iterator[tuple[str, str]]:
    """The first word of every label that is written out, and where it stands."""
    for file in sorted(Path(edgecompress.__file__).parent.rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text())):
            match call:
                case ast.Call(func=ast.Attribute(attr="track"), args=[_, label, *_]):
                    pass
                case ast.Call(func=ast.Attribute(attr="step"), args=[label]):
                    pass
                case _:
                    continue
            text = label.values[0] if isinstance(label, ast.JoinedStr) else label
            if isinstance(text, ast.Constant):
                yield f"{file.name}:{call.lineno}", str(text.value).replace(",", " ").split()[0]


def test_labels_say_what_is_being_done() -> None:
    labels = dict(_labels())
    assert len(labels) > 20
    assert {place: word for place, word in labels.items() if word != "step" and not word.endswith("ing")} == {}


def test_a_terminal_gets_a_bar_that_counts() -> None:
    screen = io.StringIO()
    progress = progress_for(Console(file=screen, force_terminal=True, width=80))
    assert isinstance(progress, TerminalProgress)
    assert list(progress.track([1, 2, 3], "evaluating", "batch")) == [1, 2, 3]
    with progress.step("capture"):
        pass
    progress.warn("look out [here]")
    shown = screen.getvalue()
    assert "evaluating" in shown
    assert "batch 3 of 3" in shown
    assert "look out [here]" in shown


def test_a_note_is_asked_after_every_item_and_shown_as_it_is() -> None:
    screen = io.StringIO()
    asked: list[int] = []

    def note() -> str:
        asked.append(len(asked))
        return f"loss {len(asked)} [nats]"

    progress = progress_for(Console(file=screen, force_terminal=True, width=80))
    assert list(progress.track("abc", "training, epoch 1 of 3", "step", note=note)) == ["a", "b", "c"]
    assert asked == [0, 1, 2]
    assert "loss 3 [nats]" in screen.getvalue()


def test_nobody_is_told_by_default() -> None:
    assert list(Progress().track(range(3), "evaluating", "batch")) == [0, 1, 2]


def test_a_caller_in_python_is_warned_at_a_line_of_their_own() -> None:
    with pytest.warns(UserWarning, match="^the batch is fixed$") as told:
        CallerWarnings().warn("the batch is fixed")
    assert told[0].filename == __file__
