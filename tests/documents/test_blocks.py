"""What is read of a page, and how what is shown is held against what is printed."""

from __future__ import annotations

import pytest

from tests.documents.blocks import prose_of, read_blocks
from tests.documents.commands import commands_of
from tests.documents.showing import conversations, first_missing

PAGE = """Text.

<!-- not run: needs a phone -->
```sh
adb push model.ort
```

    ```python title="x.py"
    a = 1
    ```
<!-- exit status: 2 -->
```console
$ false
```
"""


def test_blocks_know_what_the_lines_above_say() -> None:
    shell, file, console = read_blocks(PAGE, "page.md")
    assert (shell.where, shell.reason, shell.runs) == ("page.md:4", "needs a phone", False)
    assert (file.title, file.text, file.reason, file.runs) == ("x.py", "a = 1\n", None, False)
    assert (console.status, console.runs) == (2, True)
    assert prose_of(PAGE)[0] == "Text."
    assert "adb push model.ort" not in prose_of(PAGE)


def test_a_fence_that_is_not_closed_is_named() -> None:
    with pytest.raises(ValueError, match="the fence is not closed"):
        read_blocks("```sh\nls\n", "page.md")


def test_commands_go_on_after_a_backslash_and_end_at_a_comment() -> None:
    assert commands_of("# one\na b \\\n    c  # why\n\nd '#'e\n") == ["a b c", "d '#'e"]


@pytest.mark.parametrize(
    ("shown", "printed", "missing"),
    [
        (["size 1.5 MB"], "size    12.25 MB\n", None),
        (["a 1", "c 3"], "a 2\nb\nc 4\n", None),
        (["c 3", "a 1"], "a 2\nb\nc 4\n", "a 1"),
        (["size 1 MB"], "size 1 kB\n", "size 1 MB"),
        (["x [...] z"], "x y z\n", None),
        (["x [...] z"], "x y\n", "x [...] z"),
    ],
)
def test_lines_are_held_against_the_output_up_to_numbers(shown: list[str], printed: str, missing: str | None) -> None:
    assert first_missing(shown, printed) == missing


def test_a_conversation_is_commands_with_their_lines() -> None:
    text = "$ a \\\n    --b\none\n...\n$ c\n"
    assert conversations(text) == [("a --b", ["one"]), ("c", [])]
