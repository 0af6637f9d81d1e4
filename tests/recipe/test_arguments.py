"""Arguments of the Python interface: read alike by all of its methods, and refused in Python's words."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from edgecompress import (
    DataError,
    Distiller,
    InputError,
    LowRankDecomposition,
    ModelPruner,
    Quantizer,
    Recipe,
    RecipeError,
    compress,
    load_profile,
)
from edgecompress.recipe.arguments import assignments, named_as_arguments, names, number, path, whole, word
from edgecompress.recipe.overrides import override

ROWS = torch.ones(2, 6)
NEVER = ("--", "inspect", "pruning.", "low_rank.", "quantization.", "Traceback")
"""Words of the command line and of recipes, which the classes of the Python interface do not use."""


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))


def _distiller(**arguments: Any) -> Distiller:
    return Distiller(_net(), _net(), **arguments)


def _teach(**arguments: Any) -> object:
    return _distiller().train_student([(ROWS, torch.zeros(2, dtype=torch.int64))], **{"epochs": 1, **arguments})


CALLS: dict[str, Callable[..., object]] = {
    "magnitude": lambda **given: ModelPruner(_net()).magnitude_pruning(**{"sparsity": 0.5, **given}),
    "random": lambda **given: ModelPruner(_net()).random_pruning(**{"sparsity": 0.5, **given}),
    "pattern": lambda **given: ModelPruner(_net()).pattern_pruning(**given),
    "structured": lambda **given: ModelPruner(_net(), ROWS).structured_pruning(**given),
    "low rank": lambda **given: LowRankDecomposition.apply_to_model(
        _net(), **{"multiple": 1, "rank_ratio": 0.2, **given}
    ),
    "linear": lambda **given: LowRankDecomposition.decompose_linear(nn.Linear(6, 6), **{"rank_ratio": 0.2, **given}),
    "conv": lambda **given: LowRankDecomposition.decompose_conv(nn.Conv2d(6, 6, 3), **{"rank_ratio": 0.2, **given}),
    "distiller": _distiller,
    "teach": _teach,
}
METHODS: dict[str, Callable[..., object]] = {
    "magnitude": ModelPruner.magnitude_pruning,
    "random": ModelPruner.random_pruning,
    "pattern": ModelPruner.pattern_pruning,
    "structured": ModelPruner.structured_pruning,
    "low rank": LowRankDecomposition.apply_to_model,
    "linear": LowRankDecomposition.decompose_linear,
    "conv": LowRankDecomposition.decompose_conv,
    "distiller": Distiller.__init__,
    "teach": Distiller.train_student,
}
OTHERS: tuple[str, ...] = ("self", "model", "layer", "teacher", "student", "data", "calibration", "example_inputs")
OTHERS += ("train_loader", "evaluation", "optimizer", "scheduler", "augment", "progress", "features", "checkpoints")
OTHERS += ("cache", "loss", "ignore_index", "output_weights")
"""Networks, data, functions and folders."""
NUMBERS = {"float": "a number", "int": "a whole number", "float | None": "a number", "int | None": "a whole number"}
ARGUMENTS = [
    (call, name, str(parameter.annotation))
    for call, method in METHODS.items()
    for name, parameter in inspect.signature(method).parameters.items()
    if name not in OTHERS
]
WRONG: tuple[Any, ...] = (
    True,
    False,
    math.nan,
    math.inf,
    -math.inf,
    -1,
    "half",
    "",
    1j,
    [0.5],
    {},
    object(),
    np.bool_(True),
)
"""No number of any argument."""


def test_every_argument_is_looked_at() -> None:
    kinds = {kind for _, _, kind in ARGUMENTS if "str]" not in kind and kind not in NUMBERS}
    assert {call for call, _, _ in ARGUMENTS} == set(CALLS)
    assert all(
        kind.startswith(("Literal", "Method", "Scope", "Goal", "Spread", "str | Criterion", "Residual"))
        for kind in kinds
    )


def _told(call: str, name: str, value: Any) -> str:
    with pytest.raises(InputError) as caught:
        CALLS[call](**{name: value})
    return str(caught.value)


@settings(suppress_health_check=[HealthCheck.differing_executors])
@given(st.sampled_from(ARGUMENTS), st.sampled_from(WRONG))
def test_what_means_nothing_is_refused_in_the_words_of_python(argument: tuple[str, str, str], value: Any) -> None:
    call, name, _ = argument
    told = _told(call, name, value)
    assert name in told or (name in "nm" and "pattern" in told)
    assert not any(word in told for word in NEVER), told
    assert "\n" not in told


@pytest.mark.parametrize(("call", "name"), [(call, name) for call, name, kind in ARGUMENTS if "str]" in kind])
@pytest.mark.parametrize("value", ["0", "", b"0", ["0", 2], None, {"0": 1}, "*"])
def test_a_text_is_no_list_of_names(call: str, name: str, value: Any) -> None:
    assert name in _told(call, name, value)


@pytest.mark.parametrize(
    ("call", "plain", "of_numpy"),
    [
        ("magnitude", {"sparsity": 0.5}, {"sparsity": np.float32(0.5)}),
        ("random", {"sparsity": 0.5, "seed": 3}, {"sparsity": np.float16(0.5), "seed": np.int64(3)}),
        ("pattern", {"n": 2, "m": 4}, {"n": np.int64(2), "m": np.uint8(4)}),
        ("structured", {"amount": 0.5, "multiple": 2}, {"amount": np.float32(0.5), "multiple": np.int64(2)}),
        ("low rank", {"rank_ratio": 0.25, "multiple": 1}, {"rank_ratio": np.float32(0.25), "multiple": np.int32(1)}),
    ],
)
def test_numbers_of_numpy_are_numbers(call: str, plain: Mapping[str, Any], of_numpy: Mapping[str, Any]) -> None:
    first, second = (CALLS[call](**given) for given in (plain, of_numpy))
    assert first.changes == second.changes  # type: ignore[attr-defined]
    assert first.changes  # type: ignore[attr-defined]


def test_names_may_come_in_any_collection() -> None:
    for listed in (["0"], ("0",), {"0"}, {"0": 1}.keys()):
        assert names("protect", listed) == ("0",)


@given(st.floats() | st.integers() | st.fractions())
def test_a_number_is_what_lies_within(value: float | int | Fraction) -> None:
    inside = math.isfinite(value) and 0 <= value < 1
    if inside:
        assert number("share", value, lambda share: 0 <= share < 1, "give less") == float(value)
    else:
        with pytest.raises(RecipeError, match=r"^share is .*; give less$"):
            number("share", value, lambda share: 0 <= share < 1, "give less")


@given(st.integers(-3, 8))
def test_a_whole_number_lies_between_its_ends(value: int) -> None:
    if 1 <= value <= 5:
        assert whole("steps", np.int64(value), 1, "give 1 to 5", 5) == value
    else:
        with pytest.raises(RecipeError, match=rf"^steps is {value}; give 1 to 5$"):
            whole("steps", value, 1, "give 1 to 5", 5)


def test_words_and_paths() -> None:
    assert word("goal", "macs", ("macs", "latency")) == "macs"
    assert path("output", "here") == path("output", Path("here")) == Path("here")
    with pytest.raises(RecipeError, match=r"^goal is 3; give one of macs, latency$"):
        word("goal", 3, ("macs", "latency"))
    with pytest.raises(RecipeError, match=r"^output is 3; give a path$"):
        path("output", 3)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            DataError("importance needs data (--train), or set pruning.importance=l2"),
            "importance needs data (data), or importance='l2'",
        ),
        (RecipeError("'pruning.protect' names 'x'; take it out"), "'protect' names 'x'; take it out"),
        (RecipeError("nothing goes; set pruning.enabled=false"), "nothing goes; give another model"),
        (RecipeError("another matter"), "another matter"),
    ],
)
def test_keys_of_a_table_are_told_as_arguments(error: InputError, told: str) -> None:
    with pytest.raises(type(error)) as caught, named_as_arguments("pruning", {"(--train)": "(data)"}):
        raise error
    assert str(caught.value) == told


def test_a_target_may_be_a_path_and_overrides_are_a_list(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('extends = "cloud"\n[pruning]\nenabled = false\n')
    assert load_profile(file) == load_profile(str(file))
    for target in (file, load_profile(file)):
        with pytest.raises(DataError, match="there is no data to capture the model with"):
            compress(_net(), target=target, output=tmp_path / "o", overrides=["cpu.runs=10"])
        with pytest.raises(RecipeError, match=r"^expected whole number, got 'few' in 'cpu\.runs'$"):
            compress(_net(), target=target, output=tmp_path / "o", overrides=["cpu.runs=few"])
    with pytest.raises(RecipeError, match=r"^overrides is 'seed=3'; give a list of KEY=VALUE, or a dict of them$"):
        compress(_net(), overrides="seed=3", calibration=[ROWS])
    with pytest.raises(RecipeError, match=r"^target is 3; give a name, the path of a TOML file, or a TargetProfile$"):
        compress(_net(), target=3, calibration=[ROWS])  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"^output is 3; give a path$"):
        compress(_net(), output=3, calibration=[ROWS])  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="got 'fbgem' in 'scheme'"):
        Quantizer.static_quantize(_net(), [ROWS], scheme="fbgem")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="target is None"):
        Quantizer.post_training_quantize(_net(), [ROWS], target=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given_", "listed"),
    [
        ({}, []),
        ({"pruning.amount": 0.4}, ["pruning.amount=0.4"]),
        ({"pruning": {"amount": np.float64(0.4), "enabled": True}}, ["pruning.amount=0.4", "pruning.enabled=true"]),
        (
            {"cpu": {"threads": np.int64(2)}, "quantization.scheme": "fbgemm"},
            ["cpu.threads=2", "quantization.scheme=fbgemm"],
        ),
        ({"images": {"size": (32, 16), "mean": [0.5]}}, ["images.size=[32, 16]", "images.mean=[0.5]"]),
        ({"export.dynamic_axes": {"x.1": {2: "length"}}}, ['export.dynamic_axes."x.1".2=length']),
        ({"budgets.max_accuracy_drop": None}, ["budgets.max_accuracy_drop=none"]),
        ({"data.classes": ['a "cat"', "b"]}, ['data.classes=["a \\"cat\\"", "b"]']),
    ],
)
def test_overrides_in_a_dict_are_those_in_a_list(given_: dict[str, Any], listed: list[str]) -> None:
    assert override(Recipe(), assignments("overrides", given_)) == override(Recipe(), listed)


def test_a_key_of_a_dict_that_is_unknown_is_told_as_ever() -> None:
    with pytest.raises(RecipeError, match=r"^unknown key 'prune\.amount'; did you mean 'pruning\.amount'\?$"):
        compress(_net(), overrides={"prune.amount": 0.4}, calibration=[ROWS])
