"""Results at other places: their entries, what they share, and the budgets on them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.metrics.agreement import Agreement
from edgecompress.recipe.budgets import Budgets
from edgecompress.validation.budgets import MEASURES
from edgecompress.validation.elsewhere.place import RunNode
from edgecompress.validation.elsewhere.results import LIMITS, Elsewhere, PlaceResult

HALF = Agreement(agreed=1, decided=2)
RAN = PlaceResult(place="mine:board", samples=2, agreement=HALF, ran_on={"mine": "1.0"})
NAMES = {"cpus": "qemu:haswell", "browser": "browser", "runtimes": "mine"}
"""A place for each key of a manifest."""


def _result(place: str, **values: Any) -> PlaceResult:
    return PlaceResult(place=place, samples=4, **values)


def test_a_runtime_of_another_package_is_recorded_with_what_it_ran_on() -> None:
    elsewhere = Elsewhere.of([RAN])
    assert (elsewhere.cpus, elsewhere.browser) == ({}, {})
    entry = elsewhere.runtimes["mine:board"]
    assert (entry["outcome"], entry["top1_agreement"], entry["ran_on"]) == ("ran", 0.5, {"mine": "1.0"})
    assert elsewhere.agreements["runtime_agreement"] == 0.5


def test_where_and_how_nodes_ran_is_recorded_where_a_runtime_tells_it() -> None:
    nodes = (
        RunNode(name="conv", operator="Conv", unit="NPU", precision="u8", macs=3),
        RunNode(name="soft", operator="Softmax", unit="CPU", precision="f32", why="no room", macs=1),
    )
    entries = Elsewhere.of([_result("mine", nodes=nodes), _result("yours"), _result("qemu:haswell", nodes=nodes)])
    assert entries.runtimes["mine"]["nodes"] == {
        "ran": 2,
        "integer": 1,
        "units": {"NPU": 1, "CPU": 1},
        "refused": {"soft (Softmax)": "no room"},
        "precisions": {"u8": 1, "f32": 1},
        "float": ["soft (Softmax)"],
        "shares": {"NPU": 0.75, "CPU": 0.25},
        "segments": [
            {"unit": "NPU", "nodes": 1, "macs": 3, "first": "conv", "last": "conv"},
            {"unit": "CPU", "nodes": 1, "macs": 1, "first": "soft", "last": "soft"},
        ],
    }
    assert entries.runtimes["yours"]["nodes"] is None
    assert "nodes" not in entries.cpus["haswell"]


def test_every_result_has_its_place_in_a_manifest() -> None:
    elsewhere = Elsewhere.of([*map(_result, NAMES.values()), _result("qemu:nehalem"), _result("yours")])
    assert {key: [*entries] for key, entries in elsewhere.groups.items()} == {
        "cpus": ["haswell", "nehalem"],
        "browser": ["browser"],
        "runtimes": ["mine", "yours"],
    }


@pytest.mark.parametrize("key", NAMES)
def test_what_fails_agrees_on_nothing_and_what_is_not_installed_is_not_measured(key: str) -> None:
    measure = MEASURES[LIMITS[key]][0]
    failed = Elsewhere.of([_result(NAMES[key], failure="it crashed")])
    assert failed.agreements[measure] == 0.0
    if key != "cpus":  # whoever names a CPU is told before anything runs
        absent = Elsewhere.of([_result(NAMES[key], failure="install it", installed=False)])
        assert absent.agreements[measure] is None
    assert Elsewhere().agreements[measure] is None


@given(st.lists(st.fractions(0, 1, max_denominator=9), min_size=1))
def test_the_least_share_counts(shares: list[Any]) -> None:
    results = [
        _result(f"mine:{index}", agreement=Agreement(agreed=share.numerator, decided=share.denominator))
        for index, share in enumerate(shares)
    ]
    assert Elsewhere.of(results).agreements["runtime_agreement"] == pytest.approx(float(min(shares)))


@pytest.mark.parametrize("keys", [keys for count in range(4) for keys in itertools.combinations(NAMES, count)])
def test_a_limit_that_is_left_out_is_strict_where_places_were_tried(keys: tuple[str, ...]) -> None:
    elsewhere = Elsewhere.of([_result(NAMES[key]) for key in keys])
    strict = elsewhere.strict(Budgets())
    assert {limit: getattr(strict, limit) for limit in LIMITS.values()} == {
        limit: 1.0 if key in keys else None for key, limit in LIMITS.items()
    }
    loose = Budgets(min_cpu_agreement=0.5, min_browser_agreement=0.5, min_runtime_agreement=0.5)
    assert elsewhere.strict(loose) == loose


def test_what_is_newer_replaces_its_key_alone() -> None:
    older = Elsewhere.of([*map(_result, NAMES.values()), _result("qemu:nehalem")])
    newer = Elsewhere.of([_result("qemu:haswell", identical=True)])
    both = older.replaced_by(newer)
    assert (both.cpus, both.browser, both.runtimes) == (newer.cpus, older.browser, older.runtimes)
    assert older.replaced_by(Elsewhere()) == older


def test_every_entry_says_where_it_is_from() -> None:
    elsewhere = Elsewhere.of(map(_result, NAMES.values()))
    told = elsewhere.with_sources({"cpus": "here", "browser": "there", "runtimes": "anywhere"})
    assert told["cpus"]["haswell"] == {**elsewhere.cpus["haswell"], "source": "here"}
    assert told["browser"] == {**elsewhere.browser, "source": "there"}
    assert told["runtimes"]["mine"]["source"] == "anywhere"
    assert Elsewhere().with_sources(dict.fromkeys(NAMES, "")) == {key: {} for key in NAMES}


CONV = RunNode(name="conv", operator="Conv", unit="NPU", macs=3)
SOFT = RunNode(name="soft", operator="Softmax", unit="CPU", macs=1)


@pytest.mark.parametrize(
    ("results", "cpu_nodes", "npu_share"),
    [
        ([], None, None),
        ([{"nodes": (SOFT,)}], None, None),
        ([{"unit": "NPU"}], None, None),
        ([{"unit": "NPU", "nodes": (CONV,)}], 0, 1.0),
        ([{"unit": "NPU", "nodes": (CONV, SOFT)}], 1, 0.75),
        ([{"unit": "NPU", "nodes": (SOFT,)}], 1, 0.0),
        ([{"unit": "NPU", "nodes": (CONV, SOFT)}, {"unit": "NPU", "nodes": (CONV, SOFT, SOFT)}], 2, 0.6),
        ([{"unit": "NPU", "nodes": (CONV, replace(SOFT, macs=None))}], 1, None),
        ([{"unit": "NPU", "failure": "it hangs"}], None, 0.0),
        ([{"unit": "NPU", "failure": "install it", "installed": False}], None, None),
    ],
)
def test_budgets_bound_what_an_npu_leaves_to_the_cpu(
    results: list[dict[str, Any]], cpu_nodes: int | None, npu_share: float | None
) -> None:
    elsewhere = Elsewhere.of(_result(f"mine:{place}", **values) for place, values in enumerate(results))
    assert elsewhere.placement == {"cpu_nodes": cpu_nodes, "npu_share": npu_share}


def test_a_bundle_of_before_has_no_placement() -> None:
    assert Elsewhere(runtimes={"mine": {"outcome": "ran", "nodes": None}}).placement["npu_share"] is None
