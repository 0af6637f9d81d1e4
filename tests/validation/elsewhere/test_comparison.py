"""Outputs of any place are compared with this machine's, and whatever a place does wrong is one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.arrays import Inputs
from edgecompress.data.batches import Batch
from edgecompress.runtime import ALL_CORES, open_session, run_session, to_bytes
from edgecompress.validation.elsewhere.comparison import compare_places, first_samples
from edgecompress.validation.elsewhere.place import Answer, Handling
from edgecompress.validation.elsewhere.places import NamedPlace
from edgecompress.validation.elsewhere.results import PlaceResult
from tests.exporters.graphs import draw, graph
from tests.heard import Heard

Change = Callable[[list[dict[str, Any]]], Any]
MODEL = to_bytes(graph("p = GlobalAveragePool(x) y = Flatten(p)"))
BATCHES = [Batch(inputs={"x": draw(5, 4, 8, 8, seed=seed), "unused": draw(5)}, class_axis=1) for seed in range(3)]
MINE = "runtime 'mine' of package 'my-package'"


class Host:
    """ONNX Runtime on this machine, whose outputs are changed before they are handed on."""

    def __init__(self, change: Change = lambda outputs: Answer(outputs=outputs, ran_on={"host": "1.0"})) -> None:
        self.change = change
        self.rows: list[int] = []

    def run(self, model: Path, batches: Sequence[Inputs]) -> Any:
        assert [path.name for path in model.parent.iterdir()] == [model.name]
        assert all(batch.keys() == {"x"} for batch in batches)
        self.rows = [len(batch["x"]) for batch in batches]
        session = open_session(model, ALL_CORES)
        return self.change([{"y": run_session(session, batch)[0]} for batch in batches])


def _named(place: Any, **handling: Any) -> NamedPlace:
    return NamedPlace(name="mine", told=MINE, handling=Handling(**handling), place=place)


def _compare(
    *places: NamedPlace, batches: Sequence[Batch] = BATCHES, golden: Batch = BATCHES[0], model: bytes = MODEL
) -> tuple[list[PlaceResult], list[str]]:
    lines = Heard()
    return list(compare_places(model, golden, batches, places, lines)), lines.lines


def _failure(change: Change) -> str:
    (result,), warnings = _compare(_named(Host(change)))
    assert result.failure is not None
    assert warnings == [f"the artifact does not run on mine: {result.failure}"]
    assert "\n" not in result.failure
    assert result.entry["outcome"] == "failed"
    return result.failure


def test_the_same_outputs_agree_in_every_bit_and_every_class() -> None:
    (result,), warnings = _compare(_named(Host()))
    assert (result.place, result.samples, result.identical, result.failure) == ("mine", 15, True, None)
    assert (result.agreement.sqnr_db, result.agreement.top1_agreement) == (200.0, 1.0)
    assert result.ran_on == {"host": "1.0"}
    assert warnings == []


def test_other_numbers_are_measured() -> None:
    (result,), _ = _compare(_named(Host(lambda o: Answer(outputs=[{"y": -each["y"]} for each in o]))))
    assert not result.identical
    assert result.agreement.sqnr_db == pytest.approx(20 * np.log10(1 / 2), abs=1e-3)
    assert result.agreement.top1_agreement == 0.0


def _like(wanted: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {**wanted, **changed}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda o: o, "a list, expected an Answer"),
        (lambda _: None, "None, expected an Answer"),
        (lambda o: Answer(outputs=o[:2]), "outputs for 2 batches, expected 3"),
        (lambda _: Answer(), "outputs for 0 batches, expected 3"),
        (lambda o: Answer(outputs=iter(o)), "a list_iterator as its outputs, expected a list"),
        (
            lambda o: Answer(outputs=[each["y"] for each in o]),
            "an ndarray as the outputs of a batch, expected arrays by name",
        ),
        (lambda o: Answer(outputs=[{"z": each["y"]} for each in o]), "outputs 'z', expected outputs 'y'"),
        (lambda o: Answer(outputs=[_like(each, z=each["y"]) for each in o]), "outputs 'y', 'z', expected outputs 'y'"),
        (lambda o: Answer(outputs=[{} for _ in o]), "no outputs, expected outputs 'y'"),
        (
            lambda o: Answer(outputs=[{"y": each["y"].T} for each in o]),
            "output 'y' as float32 (4, 5), expected float32 (5, 4)",
        ),
        (
            lambda o: Answer(outputs=[{"y": each["y"].astype(np.float64)} for each in o]),
            "output 'y' as float64 (5, 4), expected float32 (5, 4)",
        ),
        (
            lambda o: Answer(outputs=[{"y": each["y"].tolist()} for each in o]),
            "output 'y' as a list, expected float32 (5, 4)",
        ),
        (lambda o: Answer(outputs=o, nodes=3), "an int as its nodes, expected RunNodes"),  # type: ignore[arg-type]
        (lambda o: Answer(outputs=o, nodes=["conv"]), "a list as its nodes, expected RunNodes"),  # type: ignore[list-item]
    ],
)
def test_an_answer_that_is_none_is_told_with_the_package(change: Change, told: str) -> None:
    assert _failure(change) == f"{MINE} gives {told}"


WILD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.builds(np.zeros, st.integers(0, 3)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("y"), inner) | st.tuples(inner, inner),
)


@given(WILD | st.builds(Answer, outputs=WILD, nodes=WILD, ran_on=WILD, failure=st.none() | st.text()))
def test_whatever_else_comes_back_is_a_failure_of_one_line(answer: Any) -> None:
    assert _failure(lambda _: answer)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("the board\nis on fire"), "the board"),
        (KeyError("y"), "'y'"),
        (SystemExit(3), "3"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_what_a_place_raises_is_told_with_the_package(error: BaseException, told: str) -> None:
    def fail(_outputs: Any) -> Answer:
        raise error

    assert _failure(fail) == f"{MINE} fails: {told}"


def test_what_a_place_says_itself_is_told_as_it_is() -> None:
    assert _failure(lambda _: Answer(failure="no board\n is plugged in")) == "no board is plugged in"


def test_outputs_that_are_not_finite_agree_in_nothing() -> None:
    assert (
        _failure(lambda o: Answer(outputs=[{"y": each["y"] * np.nan} for each in o])) == "outputs that are not finite"
    )


def test_a_place_that_fails_leaves_the_others_alone() -> None:
    def fail(_outputs: Any) -> Answer:
        sys.exit("no licence")

    results, _ = _compare(_named(Host(fail)), _named(Host()))
    assert [result.failure for result in results] == [f"{MINE} fails: no licence", None]


class Careless:
    """Writes into what it is given."""

    def run(self, model: Path, batches: Sequence[Inputs]) -> Answer:
        for batch in batches:
            batch["x"][:] = 0
        model.write_bytes(b"gone")
        return Answer(failure="careless")


def test_a_place_that_writes_into_its_inputs_spoils_no_other() -> None:
    before = [batch.inputs["x"].copy() for batch in BATCHES]
    results, _ = _compare(_named(Careless()), _named(Host()))
    assert [result.identical for result in results] == [False, True]
    for batch, inputs in zip(BATCHES, before, strict=True):
        np.testing.assert_array_equal(batch.inputs["x"], inputs)


def test_a_place_is_given_the_first_hundred_samples_or_those_of_the_self_test() -> None:
    many = [Batch(inputs={"x": draw(30, 4, 8, 8, seed=seed)}) for seed in range(5)]
    all_of_them, few = Host(), Host()
    results, _ = _compare(_named(all_of_them), _named(few, golden=True), batches=many)
    assert (all_of_them.rows, few.rows) == ([30, 30, 30, 10], [5])
    assert [result.samples for result in results] == [100, 5]


def test_a_model_of_fixed_batch_size_is_given_whole_batches() -> None:
    fixed = graph("p = GlobalAveragePool(x) y = Flatten(p)")
    fixed.graph.inputs[0].shape = ir.Shape([30, 4, 8, 8])
    many = [Batch(inputs={"x": draw(30, 4, 8, 8, seed=seed)}) for seed in range(5)]
    host = Host()
    _compare(_named(host), batches=many, model=to_bytes(fixed))
    assert host.rows == [30, 30, 30]


def test_a_place_that_lacks_something_is_no_failure() -> None:
    absent = NamedPlace(name="mine", told=MINE, handling=Handling(), missing="mine needs a board; plug it in")
    (result,), warnings = _compare(absent)
    assert result.failure == "mine needs a board; plug it in"
    assert warnings == [f"the artifact is not run on mine: {result.failure}"]
    assert (result.entry["outcome"], result.entry["sqnr_db"], result.samples) == ("not installed", None, 15)


def test_no_places_run_nothing() -> None:
    assert _compare(model=b"no model at all") == ([], [])


@given(st.lists(st.integers(1, 7), min_size=1), st.integers(1, 20))
def test_the_first_samples_are_taken(rows: list[int], count: int) -> None:
    ends = np.cumsum(rows)
    batches = [
        Batch(inputs={"x": np.arange(end - n, end, dtype=np.float32)}) for n, end in zip(rows, ends, strict=True)
    ]
    cut = np.concatenate([batch.inputs["x"] for batch in first_samples(batches, count, whole=False)])
    assert cut.tolist() == list(range(min(count, sum(rows))))
    whole = first_samples(batches, count, whole=True)
    assert whole
    assert all(got is given for got, given in zip(whole, batches, strict=False))
    assert len(whole) == 1 or sum(batch.rows for batch in whole) <= count
