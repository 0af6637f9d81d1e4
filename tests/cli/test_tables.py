"""What the command line prints as JSON is JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from edgecompress.cli.tables import print_json


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")


def test_a_number_that_json_does_not_have_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": math.inf, "b": [math.nan, 1.5], "c": {"d": (-math.inf, "x", None, True, 3)}})
    document = json.loads(capsys.readouterr().out, parse_constant=_refuse)
    assert document == {"a": None, "b": [None, 1.5], "c": {"d": [None, "x", None, True, 3]}}
