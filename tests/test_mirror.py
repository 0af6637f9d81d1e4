"""Tests mirror the package: a file with logic of its own has a test file of its own, in the same place."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.conftest import ROOT

PACKAGE, TESTS = ROOT / "edgecompress", ROOT / "tests"
LONGEST = 12
"""Lines of a function, without its docstring, up to which a file may be tested by those that use it."""
ELSEWHERE = {
    "bundle/revalidation.py": ("cli/test_commands.py", "needs a bundle, which the tests of the commands make once"),
    "calibration/observers/histogram.py": ("calibration/test_observers.py", "one test runs on all observers"),
    "calibration/observers/percentile.py": ("calibration/test_observers.py", "one test runs on all observers"),
    "cli/benchmark.py": ("cli/test_commands.py", "commands share a project and a bundle"),
    "cli/compress.py": ("cli/test_commands.py", "commands share a project and a bundle"),
    "cli/demo.py": ("cli/test_demo_network.py", "the command and what it trains are one test"),
    "cli/diff.py": ("comparison/test_releases.py", "the command prints what the comparison found"),
    "cli/log.py": ("report/test_tracking.py", "the command prints what was logged"),
    "exporters/canonicalize/up_convolutions.py": (
        "exporters/canonicalize/test_for_integers.py",
        "one table of graphs holds for all passes before the integers",
    ),
    "pruning/structure/rules/call.py": ("pruning/structure/rules/test_rules.py", "what all rules are given"),
    "quantization/fallback.py": ("quantization/test_sensitivity.py", "layers return in the order of sensitivity"),
    "quantization/qdq.py": ("quantization/test_static.py", "what is written shows in the graph that ONNX Runtime runs"),
    "techniques/cutting.py": ("techniques/steps/test_pruning.py", "each cut is a part of the step"),
    "training/engine.py": ("training/test_loop.py", "what an engine does shows in what is trained"),
    "training/optimizer_step.py": ("training/test_loop.py", "a step shows in what is trained"),
}
"""Files with long functions whose test stands elsewhere, and why."""


def _longest(path: Path) -> int:
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    return max(map(_lines, functions), default=0)


def _lines(function: ast.FunctionDef) -> int:
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (function.end_lineno or 0) - ((first.end_lineno if documented else function.lineno) or 0)


def _without_a_test() -> set[str]:
    files = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if not path.name.startswith("__")]
    alone = [path for path in files if not (TESTS / path.parent / f"test_{path.name}").exists()]
    return {path.as_posix() for path in alone if _longest(PACKAGE / path) > LONGEST}


def test_a_file_with_long_functions_has_a_test_of_its_own() -> None:
    assert _without_a_test() - ELSEWHERE.keys() == set()


def test_every_exception_to_that_is_needed_and_leads_to_a_test() -> None:
    assert ELSEWHERE.keys() <= _without_a_test()
    assert all((TESTS / test).is_file() and reason for test, reason in ELSEWHERE.values())
