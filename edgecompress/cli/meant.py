"""Options and commands that there are not: what does what they were meant to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from edgecompress.errors import nearest
from edgecompress.recipe.quantities import UNITS, number_with_unit, shortest

EPOCHS, RATE = "training.epochs=3", "training.learning_rate=0.01"
PRUNING = "pruning.enabled=true --set pruning.amount=0.5"
TRAINING = "and give --train DATA and a target that trains (--target edge or realtime)"
KEYS = {
    **dict.fromkeys(("--epochs", "--num-epochs"), EPOCHS),
    **dict.fromkeys(("--lr", "--learning-rate"), RATE),
    **dict.fromkeys(("--sparsity", "--amount", "--prune", "--pruning"), PRUNING),
    "--batch-size": "data.batch_size=16",
    "--opset": "export.opset=20",
    "--seed": "seed=1",
    **dict.fromkeys(("--threads", "--num-threads"), "cpu.threads=2"),
    "--scheme": "quantization.scheme=fbgemm",
    "--observer": "quantization.observer=mse",
    "--temperature": "distillation.temperature=4",
    "--alpha": "distillation.alpha=0.5",
    **dict.fromkeys(("--image-size", "--img-size", "--size"), "images.size=224"),
    "--no-simplify": "export.simplify=false",
    "--max-accuracy-drop": "budgets.max_accuracy_drop=1",
    "--min-speedup": "budgets.min_speedup=2",
    "--max-latency-ms": "budgets.max_latency_ms=10",
    "--max-size-mb": "budgets.max_size_mb=3",
    "--cpu": "cpu.emulate=cortex-a72",
}
"""Options that are keys of the recipe, with a value for each."""
OPTIONS = {
    **dict.fromkeys(("--force", "-f", "--yes", "-y"), "--overwrite"),
    **dict.fromkeys(("--out", "--out-dir", "--outdir", "--output-dir"), "--output DIR"),
    **dict.fromkeys(("--checkpoint", "--ckpt", "--state-dict", "-w"), "--weights FILE"),
    **dict.fromkeys(
        ("--data", "--dataset", "--calib", "--cal", "--calibration-data", "-c", "-d"), "--calibration DATA"
    ),
    **dict.fromkeys(("--eval", "--val", "--test", "--validation", "--evaluate"), "--evaluation DATA"),
    **dict.fromkeys(("--training", "--train-data"), "--train DATA"),
    **dict.fromkeys(("-t", "--profile", "--preset", "--platform"), "--target NAME"),
    **dict.fromkeys(("--config", "--recipe"), "--target FILE.toml"),
    **dict.fromkeys(("--model", "-m"), "the model once, without an option, right after the command"),
}
"""Options under other names."""
OF_DIFF = {
    **dict.fromkeys(("--min-speedup", "--max-latency-ms"), "--max-slowdown"),
    **dict.fromkeys(("--min-compression-ratio", "--max-size-mb"), "--max-size-growth"),
    **dict.fromkeys(("--max-accuracy-drop", "--max-metric-drop", "--min-metric", "--max-metric"), "--max-metric-loss"),
}
"""What diff, which holds a bundle against another one, has in the place of the options of validate."""
LEFT_OUT = {
    **dict.fromkeys(
        ("--bits", "--int8", "--quantize", "--dtype", "--precision"), "weights and activations have 8 bits"
    ),
    **dict.fromkeys(("--gpu", "--cuda"), "training takes a GPU where there is one"),
    **dict.fromkeys(
        ("--verbose", "-v", "--quiet", "-q"), "progress goes to stderr, and --debug shows where an error is from"
    ),
}
"""Options that are not needed, and why."""
COMPRESS = "edgecompress compress MODEL --calibration DATA"
EXPORT = f"{COMPRESS} --set quantization.enabled=false, which writes float ONNX"
VALIDATE = "edgecompress validate BUNDLE --evaluation DATA"
COMMANDS = {
    **dict.fromkeys(("quantize", "quantise", "optimize", "run"), COMPRESS),
    **dict.fromkeys(("export", "convert"), EXPORT),
    "prune": f"{COMPRESS} --train DATA --target edge",
    "distill": f"{COMPRESS} --train DATA --target realtime",
    **dict.fromkeys(("evaluate", "eval", "test", "check", "verify"), VALIDATE),
    **dict.fromkeys(("list", "ls"), "edgecompress targets list"),
    "show": "edgecompress targets show NAME",
    "recommend": "edgecompress targets recommend",
    **dict.fromkeys(("info", "summary", "profile", "analyze"), "edgecompress inspect MODEL"),
    "help": "edgecompress --help",
    "version": "edgecompress --version",
}
"""Commands under other names."""
FIXES = {
    "Missing command.": ("a command is missing", "edgecompress targets list, show NAME or recommend"),
    "Missing option '--key'.": (
        "a key is missing",
        "openssl genpkey -algorithm ed25519 -out key.pem, then --key key.pem",
    ),
}
WHOLE = {
    "compress": COMPRESS.replace("MODEL", "file.py:callable"),
    "compare": "edgecompress compare file.py:callable --calibration DATA",
    "inspect": "edgecompress inspect file.py:callable, or FILE.onnx",
    "validate": "edgecompress validate FOLDER",
    "diff": "edgecompress diff OLD NEW",
    "report": "edgecompress report FOLDER",
    "sign": "edgecompress sign FOLDER --key key.pem",
    "log": "edgecompress log FOLDER",
    "benchmark": "edgecompress benchmark FILE.onnx",
    "targets": "edgecompress targets show NAME",
}
"""Commands with the arguments that they need."""
HELP = "--help shows what there is"


def told(message: str, arguments: Sequence[str]) -> str:
    """An error of the command line's parser as one of ours: cause, then fix.

    Args:
        message: the parser's.
        arguments: what was typed.

    >>> told("No such option: --seed (Possible options: --help)", ["compress", "a.py:net", "--seed", "3"])
    'there is no option --seed; write --set seed=3'
    """
    if (option := re.match(r"No such option: (\S+)", message)) is not None:
        return _told_option(option[1], message, arguments)
    if (command := re.match(r"No such command '([^']*)'", message)) is not None and command[1] in COMMANDS:
        return f"there is no command {command[1]!r}; {_told_command(command[1], arguments)}"
    if message.startswith("Got unexpected extra argument") and "--set" in arguments:
        return "--set takes KEY=VALUE; write an = and no spaces, as in --set pruning.amount=0.5"
    if (lacking := re.match(r"Missing argument '(\w+)", message)) is not None and arguments[:1]:
        return f"{lacking[1]} is missing; {_whole(arguments[0])}"
    cause, fix = FIXES.get(message, (message.rstrip("."), ""))
    return f"{cause}; write {fix}" if fix else f"{message} ({HELP})"


def _whole(command: str) -> str:
    """What to write where an argument of a command is missing."""
    return f"write {WHOLE[command]}" if command in WHOLE else f"edgecompress {command} {HELP}"


def _told_command(name: str, arguments: Sequence[str]) -> str:
    """What to write in the place of a command; an ONNX file is there already, and validate takes no such file."""
    given = next((each for each in arguments[1:] if each.endswith(".onnx")), None)
    if given is None or COMMANDS[name] not in (EXPORT, VALIDATE):
        return f"write {COMMANDS[name]}"
    compress = COMPRESS.replace("MODEL", given)
    return f"write {compress}" if COMMANDS[name] == EXPORT else f"write {compress} --evaluation DATA, which checks it"


def _with_value(key: str, option: str, arguments: Sequence[str]) -> str:
    """A key with the value that was typed for an option, or with the one that stands for an example."""
    typed = next((each.partition("=")[2] for each in arguments if each.startswith(f"{option}=")), None)
    behind = dict(pairwise(arguments)).get(option, "-")
    value = typed or (None if behind.startswith("-") else behind)
    return key if value is None else f"{key.rpartition('=')[0]}={value}"


def _told_option(name: str, message: str, arguments: Sequence[str]) -> str:
    cause = f"there is no option {name}"
    if name in ("-v", "-V") and arguments[:1] == [name]:
        return f"{cause}; write --version"
    if name in OF_DIFF and arguments[:1] == ["diff"]:
        return f"{cause}, since diff holds a bundle against the old one; write {OF_DIFF[name]}"
    if name in KEYS:
        told = f"{cause}; write --set {_with_value(KEYS[name], name, arguments)}"
        if KEYS[name] == PRUNING and "--train" not in arguments:
            return f"{told}, and give --train DATA, to learn again what it loses"
        return f"{told}, {TRAINING}" if KEYS[name] in (EPOCHS, RATE) else told
    if name in OPTIONS:
        return f"{cause}; write {OPTIONS[name]}"
    if name in LEFT_OUT:
        return f"{cause}; leave it out: {LEFT_OUT[name]}"
    near = re.search(r"\(Possible options: (.*)\)", message)
    return f"{cause}{nearest(name, near[1].split(', ') if near else (), f'; {HELP}')}"


def with_plain_numbers(arguments: Sequence[str]) -> list[str]:
    """The arguments, with a number in the place of one with a unit behind an option that bounds something.

    >>> with_plain_numbers(["validate", "out", "--max-size-mb", "300kB", "--min-speedup=2x"])
    ['validate', 'out', '--max-size-mb', '0.3', '--min-speedup=2']
    """
    return [_plain(each, before) for before, each in zip(["", *arguments], arguments, strict=False)]


def _plain(argument: str, before: str) -> str:
    option, sign, value = argument.partition("=") if argument.startswith("--") else (before, "", argument)
    key = option.removeprefix("--").replace("-", "_")
    if not option.startswith("--") or not value or not key.endswith(tuple(UNITS)):
        return argument
    number = number_with_unit(key, value)
    return argument if number is None else f"{option}={shortest(number)}" if sign else shortest(number)
