"""The self-test is one program: what it shares with edgecompress is written into it."""

from __future__ import annotations

import ast
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edgecompress.bundle.selftest_file import selftest_file
from edgecompress.metrics import slices


class Spec:
    """An input."""

    name = "x"


class Session:
    """Gives the same outputs, whatever it is asked."""

    def __init__(self, *outputs: Any) -> None:
        self.outputs = list(outputs)

    def get_inputs(self) -> list[type[Spec]]:
        return [Spec]

    def run(self, names: None, inputs: dict[str, Any]) -> list[Any]:
        return self.outputs


@pytest.fixture(scope="module")
def program() -> ModuleType:
    module = ModuleType("selftest")
    exec(compile(selftest_file(), "selftest.py", "exec"), module.__dict__)
    return module


def test_it_imports_nothing_of_ours() -> None:
    tree = ast.parse(selftest_file())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {str(name).partition(".")[0] for name in imported} <= {*sys.stdlib_module_names, "numpy", "onnxruntime"}


def test_it_holds_what_is_shared_as_it_is(program: ModuleType) -> None:
    for name in ("tabulate", "lost_slices", "output_db", "comparable", "NEAR", "WEAK"):
        mine, theirs = getattr(slices, name), getattr(program, name)
        assert mine == theirs or mine.__code__.co_code == theirs.__code__.co_code


def test_a_small_output_that_is_lost_is_found(program: ModuleType) -> None:
    random = np.random.default_rng(0)
    boxes, scores = 320 * random.random((8, 4, 100)), random.random((8, 18, 100)) / 2
    golden = {"input_x": boxes, "output_0": boxes, "output_1": scores}
    found = program.check_outputs(Session(boxes, 0 * scores), golden, names=["boxes", "scores"])
    assert (found["sqnr_db"], found["lost"], found["identical"]) == (0.0, ["scores"], False)
    assert not program.is_close(found)
    one_class = scores.copy()
    one_class[:, 17] = 0
    found = program.check_outputs(Session(boxes, one_class), golden)
    assert found["lost"] == ["output_1[:, 17]"]
    assert not program.is_close({**found, "sqnr_db": 40.0})
    whole = program.check_outputs(Session(boxes, scores), golden)
    assert (whole["identical"], whole["sqnr_db"], whole["lost"]) == (True, 200.0, [])
    assert program.is_close(whole)


@pytest.mark.parametrize(("axis", "share", "close"), [(None, None, True), (1, 0.5, False)])
def test_classes_are_compared_where_there_are_any(
    program: ModuleType, axis: int | None, share: float | None, close: bool
) -> None:
    values = np.array([[100.0, 100.1], [100.0, 100.1], [100.1, 100.0], [100.1, 100.0]])
    actual = values.copy()
    actual[:2] = actual[:2, ::-1]
    found = program.check_outputs(Session(actual), {"input_x": values, "output_0": values}, axis)
    assert found["top1_agreement"] == share
    assert program.is_close({**found, "lost": []}) is close
