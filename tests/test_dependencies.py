"""What is installed by default is enough: an optional package is imported only by what needs it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.conftest import ROOT

PACKAGE = ROOT / "edgecompress"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SAFE = {"onnx": "1.22", "onnxruntime": "1.30.1"}
"""The first versions without published memory faults in what reads strangers' files."""
WITHOUT = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *rest):
        return None if name.partition(".")[0] in absent else self.finder.find_spec(name, *rest)

    def __getattr__(self, name):
        return getattr(self.finder, name)

absent = {*sys.argv[1].split(",")}
sys.meta_path[:] = map(Without, sys.meta_path)
from edgecompress.cli.app import main

sys.exit(main(sys.argv[2:]))
"""
"""Runs a command as if the modules in its first argument were not installed."""
QUICK = ("export.simplify=false", "cpu.runs=10", "quantization.adaround=false")
UNBOUND = tuple(f"budgets.{name}=none" for name in ("min_speedup", "min_compression_ratio", "max_accuracy_drop"))
SET = tuple(word for setting in (*QUICK, *UNBOUND) for word in ("--set", setting))
DATA = ("--calibration", "batches.py:calibration", "--evaluation", "batches.py:evaluation")


@cache
def _installed_by_default() -> frozenset[str]:
    """The distributions that the project needs, and all that these need, by their canonical names."""
    found, left = set[str](), [Requirement(line) for line in PROJECT["dependencies"]]
    while left:
        asked = left.pop()
        name = canonicalize_name(asked.name)
        if name in found or (asked.marker and not asked.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        try:
            left += map(Requirement, requires(name) or [])
        except PackageNotFoundError:  # for another system
            continue
    return frozenset(found)


@cache
def _absent() -> frozenset[str]:
    """The modules that are installed here, and are not by default."""
    own = {"edgecompress", "_distutils_hack", "pip", "pkg_resources", "setuptools"}
    by_default = _installed_by_default()
    return frozenset(
        module
        for module, distributions in packages_distributions().items()
        if module not in own and by_default.isdisjoint(map(canonicalize_name, distributions))
    )


def _imported_at_once(nodes: list[ast.stmt]) -> Iterator[str]:
    """The modules that a file imports when it is imported itself, without those that only a type checker reads."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.If) and ast.unparse(node.test) != "TYPE_CHECKING":
            yield from _imported_at_once([*node.body, *node.orelse])
        elif isinstance(node, ast.ClassDef):
            yield from _imported_at_once(node.body)


def test_what_is_needed_is_pinned() -> None:
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    needed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    names = {name.split(">=")[0].split("[")[0].lower() for name in needed} - {"edgecompress"}
    assert names <= pinned
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()


def test_no_version_with_known_memory_faults_is_admitted() -> None:
    asked = [Requirement(line) for line in PROJECT["dependencies"]]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {name: version for name, _, version in (line.partition("==") for line in lines)}
    for requirement in asked:
        assert requirement.specifier.contains(pinned[requirement.name.lower()]), requirement
    floors = {each.name: Version(bound.version) for each in asked for bound in each.specifier if bound.operator == ">="}
    for name, safe in SAFE.items():
        assert floors[name] >= Version(safe)


def test_no_file_imports_an_optional_package_when_it_is_imported() -> None:
    optional = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in PACKAGE.rglob("*.py")
        for name in {*_imported_at_once(ast.parse(path.read_text()).body)} & _absent()
    }
    assert optional == set()


def test_every_command_runs_with_what_is_installed_by_default(project: Path) -> None:
    assert _absent() >= {"cryptography", "hypothesis", "pytest"}

    def run(*words: str, status: int = 0) -> str:
        line = [sys.executable, "-c", WITHOUT, ",".join(sorted(_absent())), *words]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(line, cwd=project, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        return done.stderr

    run("compress", "nets.py:net", *DATA, *SET, "--output", "new")
    run("validate", "new", "--evaluation", "batches.py:evaluation")
    run("diff", "new", "new", "--max-slowdown", "none")
    run("inspect", "nets.py:net", "--calibration", "batches.py:calibration")
    run("benchmark", "new/model.onnx", "--runs", "10")
    run("report", "new")
    run("targets", "recommend", "--cpu", "phone", "--model", "nets.py:net", "--calibration", "batches.py:calibration")
    run("cache")
    for words, extra in (
        (("search", "nets.py:net", "--target", "mobile", *DATA), "search"),
        (("sign", "new", "--key", "nets.py"), "sign"),
    ):
        assert f"pip install 'edgecompress[{extra}]'" in run(*words, status=2)
