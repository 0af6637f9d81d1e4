"""Options and commands under other names end in the line that names the right one."""

from __future__ import annotations

import pytest

from edgecompress.cli import main
from edgecompress.cli.app import app
from edgecompress.cli.meant import COMMANDS, HELP, KEYS, LEFT_OUT, OF_DIFF, OPTIONS, with_plain_numbers
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Recipe

TRAINING = ", and give --train DATA and a target that trains (--target edge or realtime)"


def _line(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    return captured.err.removeprefix("error: ").strip()


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("compress a.py:net --epochs 3", f"there is no option --epochs; write --set training.epochs=3{TRAINING}"),
        ("compress a.py:net --batch-size 8", "there is no option --batch-size; write --set data.batch_size=8"),
        (
            "diff a b --min-speedup none",
            "there is no option --min-speedup, since diff holds a bundle against the old one; write --max-slowdown",
        ),
        ("compress a.py:net --seed=3", "there is no option --seed; write --set seed=3"),
        (
            "compress a.py:net --epochs --overwrite",
            f"there is no option --epochs; write --set training.epochs=3{TRAINING}",
        ),
        (
            "compress a.py:net --sparsity 0.3",
            "there is no option --sparsity; write --set pruning.enabled=true --set pruning.amount=0.3, and give --train"
            " DATA, to learn again what it loses",
        ),
        (
            "compress a.py:net --train d.py:data --prune",
            "there is no option --prune; write --set pruning.enabled=true --set pruning.amount=0.5",
        ),
        ("convert n.onnx", "there is no command 'convert'; write edgecompress compress n.onnx --calibration DATA"),
        (
            "convert a.py:net",
            "there is no command 'convert'; write edgecompress compress MODEL --calibration DATA"
            " --set quantization.enabled=false, which writes float ONNX",
        ),
        (
            "evaluate n.onnx",
            "there is no command 'evaluate'; write edgecompress compress n.onnx --calibration DATA --evaluation DATA,"
            " which checks it",
        ),
        ("compress a.py:net --force", "there is no option --force; write --overwrite"),
        ("compress a.py:net --data x", "there is no option --data; write --calibration DATA"),
        (
            "compress a.py:net --bits 8",
            "there is no option --bits; leave it out: weights and activations have 8 bits",
        ),
        (
            "compress --model a.py:net",
            "there is no option --model; write the model once, without an option, right after the command",
        ),
        (
            "compress a.py:net --weigths w.pt",
            "there is no option --weigths; did you mean '--weights'?",
        ),
        ("compress a.py:net --calibraton x", "there is no option --calibraton; did you mean '--calibration'?"),
        ("compress a.py:net --zzz", f"there is no option --zzz; {HELP}"),
        (
            "compress a.py:net --set pruning.amount 0.5",
            "--set takes KEY=VALUE; write an = and no spaces, as in --set pruning.amount=0.5",
        ),
        ("compress", "MODEL is missing; write edgecompress compress file.py:callable --calibration DATA"),
        ("-v", "there is no option -v; write --version"),
        ("quantize a.py:net", "there is no command 'quantize'; write edgecompress compress MODEL --calibration DATA"),
        ("target list", f"No such command 'target'. Did you mean 'targets'? ({HELP})"),
        ("targets", "a command is missing; write edgecompress targets list, show NAME or recommend"),
        (
            "sign out",
            "a key is missing; write openssl genpkey -algorithm ed25519 -out key.pem, then --key key.pem",
        ),
    ],
)
def test_a_line_says_what_to_write(capfd: pytest.CaptureFixture[str], typed: str, told: str) -> None:
    assert _line(capfd, *typed.split()) == told


@pytest.mark.parametrize("command", [each.name for each in app.registered_commands])
def test_an_argument_that_is_missing_is_told_with_the_command_that_was_typed(
    command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if command in ("demo", "cache"):  # which need none
        return
    line = _line(capfd, command)
    assert line.split()[1:3] == ["is", "missing;"]
    assert f" edgecompress {command} " in line


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("diff", "OLD is missing; write edgecompress diff OLD NEW"),
        ("diff old", "NEW is missing; write edgecompress diff OLD NEW"),
        ("targets show", "NAME is missing; write edgecompress targets show NAME"),
        ("report", "BUNDLE is missing; write edgecompress report FOLDER"),
        ("sign", "BUNDLE is missing; write edgecompress sign FOLDER --key key.pem"),
    ],
)
def test_all_arguments_of_the_command_are_in_the_line(typed: str, told: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert _line(capfd, *typed.split()) == told


@pytest.mark.parametrize("option", [*KEYS, *OPTIONS, *LEFT_OUT])
def test_no_option_that_there_is_is_called_missing(capfd: pytest.CaptureFixture[str], option: str) -> None:
    line = _line(capfd, "compress", "a.py:net", option)
    assert line.startswith(f"there is no option {option}; ")
    if option in KEYS:
        override(Recipe(), KEYS[option].split(" --set "))


@pytest.mark.parametrize("option", OF_DIFF)
def test_an_option_of_validate_is_told_by_that_of_diff(capfd: pytest.CaptureFixture[str], option: str) -> None:
    told = f"there is no option {option}, since diff holds a bundle against the old one; write {OF_DIFF[option]}"
    assert _line(capfd, "diff", "a", "b", option, "1") == told
    main(["diff", "--help"])
    assert OF_DIFF[option] in capfd.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_under_another_name_is_told(capfd: pytest.CaptureFixture[str], command: str) -> None:
    assert _line(capfd, command) == f"there is no command {command!r}; write {COMMANDS[command]}"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--max-size-mb 300kB", "--max-size-mb 0.3"),
        ("--max-size-mb 1234567kB", "--max-size-mb 1234.567"),
        ("--max-latency-ms=1234.5675s", "--max-latency-ms=1234567.5"),
        ("--max-size-mb=300kB", "--max-size-mb=0.3"),
        ("--max-accuracy-drop 1%", "--max-accuracy-drop 1"),
        ("--max-latency-ms 5ms", "--max-latency-ms 5"),
        ("--min-speedup 2x", "--min-speedup 2"),
        ("--max-size-mb small", "--max-size-mb small"),
        ("--max-size-mb --json", "--max-size-mb --json"),
        ("--set budgets.max_size_mb=300kB", "--set budgets.max_size_mb=300kB"),
        ("out 300kB", "out 300kB"),
    ],
)
def test_units_behind_options_that_bound_something(typed: str, meant: str) -> None:
    assert with_plain_numbers(typed.split()) == meant.split()


@pytest.mark.parametrize("command", [[], ["compress"], ["targets", "recommend"]])
def test_h_is_help(capfd: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert main([*command, "-h"]) == 0
    assert "Usage: edgecompress" in capfd.readouterr().out
