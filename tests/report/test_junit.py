"""A JUnit file, read back by a parser of that format and as plain XML."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from edgecompress.report.gate_cases import GateCase
from edgecompress.report.junit import junit_file

CASES = (
    GateCase(name="bundle", ended="passed", told="hashes and self-test hold"),
    GateCase(name="max_size_mb", ended="failed", told='missed: 2 MB, limit <1 MB> & \x00 \ud800 "more"'),
    GateCase(name="min_speedup", ended="skipped", told="not measured"),
    GateCase(name="files", ended="error", told="bundle 'größer' was changed"),
)
COUNTS = {"tests": "4", "failures": "1", "errors": "1", "skipped": "1"}


def test_a_parser_of_the_format_reads_what_was_written(tmp_path: Path) -> None:
    junitparser = pytest.importorskip("junitparser")
    file = tmp_path / "junit.xml"
    file.write_bytes(junit_file("edgecompress.validate net", CASES))
    (suite,) = junitparser.JUnitXml.fromfile(str(file))
    assert (suite.name, suite.tests, suite.failures, suite.errors, suite.skipped) == (
        "edgecompress.validate net",
        4,
        1,
        1,
        1,
    )
    read = {case.name: [(type(each).__name__, each.message) for each in case.result] for case in suite}
    assert read == {
        "bundle": [],
        "max_size_mb": [("Failure", 'missed: 2 MB, limit <1 MB> & ? ? "more"')],
        "min_speedup": [("Skipped", "not measured")],
        "files": [("Error", "bundle 'größer' was changed")],
    }


def test_it_has_the_elements_and_attributes_of_the_format() -> None:
    root = ElementTree.fromstring(junit_file("s", CASES))
    (suite,) = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    for element in (root, suite):
        assert {name: element.get(name) for name in COUNTS} == COUNTS
    assert {case.tag for case in suite} == {"testcase"}
    assert [case.attrib.keys() for case in suite] == [{"classname": "", "name": ""}.keys()] * 4
    inner = [[(part.tag, part.get("type")) for part in case] for case in suite]
    assert inner == [[("system-out", None)], [("failure", "failed")], [("skipped", "skipped")], [("error", "error")]]


def test_the_same_cases_give_the_same_bytes() -> None:
    assert junit_file("s", CASES) == junit_file("s", CASES)
