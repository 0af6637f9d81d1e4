"""Workflow commands and a job summary, in the form of GitHub's documentation."""

from __future__ import annotations

import re

from edgecompress.report.gate_cases import GateCase
from edgecompress.report.github import summary, workflow_commands

CASES = (
    GateCase(name="bundle", ended="passed", told="hashes and self-test hold"),
    GateCase(name="max_size_mb", ended="failed", told="missed: 100 %\r\nof it::error::x"),
    GateCase(name="min_speedup", ended="skipped", told="not measured"),
    GateCase(name="files", ended="error", told="it | was <b>changed</b> `x`"),
)
COMMAND = re.compile(r"::(error|warning) (file=[^:,]+,)?title=([^:,]+)::([^\r\n]+)")
"""``::error file={name},title={title}::{message}``, on one line; colons and commas of properties are escaped."""


def _unescaped(text: str) -> str:
    for sign, code in (("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C"), ("%", "%25")):
        text = text.replace(code, sign)
    return text


def test_each_case_that_did_not_pass_is_a_command_of_one_line() -> None:
    lines = workflow_commands("diff a, b: 50%", CASES, "models/a,b:c/manifest.json")
    read = [match for line in lines if (match := COMMAND.fullmatch(line))]
    assert len(read) == len(lines) == 3
    assert [match[1] for match in read] == ["error", "warning", "error"]
    assert {_unescaped(match[2]) for match in read} == {"file=models/a,b:c/manifest.json,"}
    assert {_unescaped(match[3]) for match in read} == {"diff a, b: 50%"}
    assert _unescaped(read[0][4]) == "max_size_mb is missed: 100 %\r\nof it::error::x"


def test_an_error_says_once_what_it_is_about() -> None:
    case = GateCase(name="bundle", ended="error", told="bundle 'c1': 'model.onnx' was changed")
    assert workflow_commands("t", [case]) == ["::error title=t::bundle 'c1': 'model.onnx' was changed"]


def test_a_file_outside_of_the_job_is_left_out() -> None:
    assert workflow_commands("t", CASES[2:3]) == ["::warning title=t::min_speedup is not measured"]


def test_nothing_in_a_case_breaks_the_table() -> None:
    lines = summary("validate | net", CASES).splitlines()
    assert lines[0] == "### validate \\| net"
    rows = lines[3:]
    assert len(rows) == 1 + len(CASES)
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)
    assert rows[-1] == "| ❌ | files | it \\| was &lt;b&gt;changed&lt;/b&gt; \\`x\\` |"
