"""What a shell is given to complete, asked as bash asks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edgecompress.cli import completion
from edgecompress.errors import RecipeError
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Recipe, key_paths
from edgecompress.targets import profile_names
from edgecompress.targets.cpus import find_isa


def _completed(*words: str) -> list[str]:
    """What bash is told to offer for the last word."""
    environment = {
        **os.environ,
        "_EDGECOMPRESS_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(("edgecompress", *words)),
        "COMP_CWORD": str(len(words)),
    }
    command = [sys.executable, "-c", "from edgecompress.cli.app import main; main([])"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("comp",), ["compress", "compare"]),
        (("targets", "show", "mob"), ["mobile"]),
        (("compress", "--target", "rasp"), ["raspberry-pi-4", "raspberry-pi-5"]),
        (
            ("compress", "--set", "quantization.sch"),
            ["quantization.scheme=fbgemm", "quantization.scheme=qnnpack"],
        ),
        (("validate", "out", "--metric", "map"), ["map", "map50"]),
        (("compress", "a.py:net", "--calibration", "da"), []),  # a path, which the shell completes
    ],
)
def test_the_shell_is_offered_what_there_is(words: tuple[str, ...], offered: list[str]) -> None:
    assert sorted(_completed(*words)) == sorted(offered)


def test_every_key_is_offered_with_values_that_can_be_set() -> None:
    offered = completion.assignments("")
    assert {each.partition("=")[0] for each in offered} == {*key_paths()}
    refused = [each for each in offered if not each.endswith("=") and not _can_be_set(each)]
    assert refused == []


def _can_be_set(assignment: str) -> bool:
    try:
        return override(Recipe(), [assignment]) is not None
    except RecipeError:
        return False


def test_targets_and_cpus_are_those_that_are_taken() -> None:
    assert completion.targets("") == [*profile_names()]
    assert [name for name in completion.cpus("") if not name] == []
    for name in completion.devices(""):
        if name not in profile_names():
            assert find_isa(name)


def test_registered_names_are_offered() -> None:
    assert completion.losses("smo") == ["smooth_l1"]
    assert "qemu" in completion.places("")
    assert "pruning.importance=taylor" in completion.assignments("pruning.imp")
