"""Cases as GitHub's workflows take them: annotations of a job, in lines that it prints, and a summary in Markdown.

The form of the lines is that of GitHub's documentation, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Sequence

from edgecompress.report.gate_cases import GateCase

LEVELS = {"failed": "error", "error": "error", "skipped": "warning"}
SIGNS = {"passed": "✅", "failed": "❌", "error": "❌", "skipped": "⚠️"}


def workflow_commands(title: str, cases: Sequence[GateCase], file: str | None = None) -> list[str]:
    """A line for each case that did not pass.

    Args:
        title: of all of them.
        cases: in their order.
        file: that they are about, by its path in the repository.

    >>> case = GateCase(name="max_size_mb", ended="failed", told="missed: 2 MB,\\nlimit 1 MB")
    >>> workflow_commands("validate: net", [case], "net/manifest.json")
    ['::error file=net/manifest.json,title=validate%3A net::max_size_mb is missed: 2 MB,%0Alimit 1 MB']
    """
    place = "" if file is None else f"file={_property(file)},"
    return [
        f"::{LEVELS[case.ended]} {place}title={_property(title)}::{_data(_told(case))}"
        for case in cases
        if case.ended in LEVELS
    ]


def _told(case: GateCase) -> str:
    """What became of it; an error says by itself what it is about."""
    return case.told if case.ended == "error" else f"{case.name} is {case.told}"


def summary(title: str, cases: Sequence[GateCase]) -> str:
    """The cases as a table.

    >>> print(summary("validate net", [GateCase(name="max_size_mb", ended="passed", told="within budget: 2 | 3")]))
    ### validate net
    <BLANKLINE>
    | | check | outcome |
    | --- | --- | --- |
    | ✅ | max_size_mb | within budget: 2 \\| 3 |
    <BLANKLINE>
    """
    rows = [f"| {SIGNS[case.ended]} | {_cell(case.name)} | {_cell(case.told)} |" for case in cases]
    return "\n".join([f"### {_cell(title)}", "", "| | check | outcome |", "| --- | --- | --- |", *rows, ""])


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    """Text in a table, which no bar, line or tag in it breaks."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("`", "\\`")
