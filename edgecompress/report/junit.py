"""Cases as a JUnit file, which continuous integration shows: a suite with a case for each budget."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree  # only written  # nosec B405
from collections.abc import Sequence

from edgecompress.report.gate_cases import GateCase

NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no form for."""
ELEMENTS = {"failed": "failure", "error": "error", "skipped": "skipped"}

COUNTED = {"failures": "failed", "errors": "error", "skipped": "skipped"}
"""Attributes of a suite, and what they count."""


def junit_file(suite: str, cases: Sequence[GateCase]) -> bytes:
    """The file, in UTF-8.

    Args:
        suite: its name, which the cases have as their class, too.
        cases: in their order.
    """
    counts = {
        "tests": str(len(cases)),
        **{name: str(sum(case.ended == ended for case in cases)) for name, ended in COUNTED.items()},
    }
    root = ElementTree.Element("testsuites", {"name": "edgecompress", **counts})
    inner = ElementTree.SubElement(root, "testsuite", {"name": _plain(suite), **counts})
    for case in cases:
        element = ElementTree.SubElement(inner, "testcase", {"classname": _plain(suite), "name": _plain(case.name)})
        told = _plain(case.told)
        if case.ended in ELEMENTS:
            ElementTree.SubElement(element, ELEMENTS[case.ended], {"type": case.ended, "message": told})
        else:
            ElementTree.SubElement(element, "system-out").text = told
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _plain(text: str) -> str:
    return NO_XML.sub("?", text.encode(errors="replace").decode())
