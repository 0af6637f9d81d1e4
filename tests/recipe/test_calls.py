"""A call that cannot be made ends in one line with what to give, for every public function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

import edgecompress
from edgecompress import Distiller, ModelPruner, Quantizer
from edgecompress.errors import InputError, RecipeError

NET = nn.Linear(3, 2)
CLASSES = [Quantizer, ModelPruner, Distiller, edgecompress.LowRankDecomposition]
FUNCTIONS = [
    getattr(edgecompress, name) for name in edgecompress.__all__ if inspect.isfunction(getattr(edgecompress, name))
]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda: Quantizer.static_quantize(NET),  # type: ignore[call-arg]
            "Quantizer.static_quantize needs 'calibration_data'; give it (batches, read twice)",
        ),
        (
            lambda: ModelPruner(NET).magnitude_pruning(),  # type: ignore[call-arg]
            "ModelPruner.magnitude_pruning needs 'sparsity'; give it (in [0, 1))",
        ),
        (lambda: ModelPruner(), "ModelPruner needs 'model'"),  # type: ignore[call-arg]
        (
            lambda: Distiller(NET),  # type: ignore[call-arg]
            "Distiller needs 'student'; give it (a smaller network with the same inputs and outputs, such as"
            " SmallNet())",
        ),
        (
            lambda: Distiller(student=NET),  # type: ignore[call-arg]
            "Distiller needs 'teacher'; give it (the trained network, with the same inputs as the student)",
        ),
        (
            lambda: edgecompress.compare(NET),  # type: ignore[call-arg]
            "compare needs 'calibration'; give it (batches, as compress takes them)",
        ),
        (
            lambda: Quantizer.dynamic_quantize(),  # type: ignore[call-arg]
            "Quantizer.dynamic_quantize needs 'model'; give it (help(Quantizer.dynamic_quantize) says what it is)",
        ),
        (lambda: edgecompress.compress(), "compress needs 'model'"),  # type: ignore[call-arg]
        (
            lambda: edgecompress.compress(NET, calib=[]),  # type: ignore[call-arg]
            "compress takes no argument 'calib'; did you mean 'calibration'?",
        ),
        (
            lambda: edgecompress.compress(NET, "edge", "x", "y"),  # type: ignore[call-arg, arg-type]
            "compress is given 4 arguments by position and takes model, target so; name the others",
        ),
        (
            lambda: ModelPruner(NET).pattern_pruning(2, 4, 8),  # type: ignore[call-arg, arg-type]
            "ModelPruner.pattern_pruning is given 3 arguments by position and takes n, m so; name the others",
        ),
        (
            lambda: edgecompress.compress(NET, model=NET),  # type: ignore[misc]
            "compress is given 'model' twice, by position and by name; leave one out",
        ),
        (
            lambda: edgecompress.validate("out", zzz=1),  # type: ignore[call-arg]
            "validate takes no argument 'zzz'; its arguments are bundle, evaluation, original,",
        ),
    ],
)
def test_the_call_is_told_with_what_to_give(call: Callable[[], object], told: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(told)


def _callables() -> list[Any]:
    methods = [
        getattr(each, name)
        for each in CLASSES
        for name, member in vars(each).items()
        if name == "__init__" or (not name.startswith("_") and callable(getattr(each, name)))
        if inspect.isfunction(getattr(member, "__func__", member))
    ]
    return [*FUNCTIONS, *methods]


@pytest.mark.parametrize("function", _callables(), ids=lambda each: each.__qualname__)
def test_no_public_function_ends_in_a_type_error(function: Callable[..., Any]) -> None:
    needed = [name for name, each in inspect.signature(function).parameters.items() if each.default is each.empty]
    own = [object()] if needed[:1] == ["self"] else []
    if len(needed) > len(own):
        with pytest.raises(InputError, match=f"needs '{needed[len(own)]}'"):
            function(*own)
    with pytest.raises(RecipeError, match="takes no argument 'zzz'"):
        function(*own, zzz=1)
